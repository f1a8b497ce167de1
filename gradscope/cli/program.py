"""Makes this process look as if python had been started with the script: `__main__`, argv, path, code."""

from __future__ import annotations

import builtins
import importlib.util
import os
import sys
from importlib.abc import InspectLoader
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from gradscope.errors import ScriptError

Program = tuple[CodeType, dict[str, Any]]
"""Compiled code, and the namespace of the `__main__` it runs in."""


def load_script(name: str, args: list[str]) -> Program:
    """Prepare `python NAME ARGS`. Raises ScriptError if it cannot be read, SyntaxError as python would."""
    path = os.path.join(os.getcwd(), name)  # like python: absolute, and otherwise as it was typed
    folder, package = os.path.dirname(os.path.realpath(name)), None
    if os.path.isfile(os.path.join(path, "__main__.py")):  # as in `python FOLDER`
        path, folder, package = os.path.join(path, "__main__.py"), path, ""
    try:
        source = Path(path).read_bytes()
    except OSError as error:
        what = "is a folder" if Path(path).is_dir() else (error.strerror or "cannot be read").lower()
        raise ScriptError(f"no such script: {name} ({what})") from None
    sys.argv = [name, *args]
    _set_path(folder)
    main = _fresh_main()
    main.__package__ = package
    main.__file__ = path
    main.__loader__ = SourceFileLoader("__main__", path)
    return compile(source, path, "exec", dont_inherit=True), vars(main)


def load_module(name: str, args: list[str]) -> Program:
    """Prepare `python -m NAME ARGS`. Raises ScriptError if there is no such module."""
    sys.argv = ["-m", *args]
    _set_path(str(Path.cwd()))
    spec = _find(name)
    if spec is not None and spec.submodule_search_locations is not None:
        spec = _find(f"{name}.__main__")
    if spec is None or not isinstance(spec.loader, InspectLoader):
        raise ScriptError(f"no such module: {name} (python -m {name} does not find it either)")
    code = spec.loader.get_code(spec.name)
    if code is None:
        raise ScriptError(f"module {name} has no Python code to run")
    main = _fresh_main()
    main.__spec__ = spec
    main.__package__ = spec.parent
    main.__loader__ = spec.loader
    main.__file__ = spec.origin
    sys.argv[0] = spec.origin or name
    return code, vars(main)


def _find(name: str) -> ModuleSpec | None:
    """The spec of a module, None if it or a package above it does not exist."""
    try:
        return importlib.util.find_spec(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            return None
        raise  # it exists, and imports something that does not
    except ValueError:  # `python -m .name`, or a module without a spec
        return None


def _set_path(folder: str) -> None:
    """Put the script's folder where python puts it, in place of our own command's."""
    if not sys.flags.safe_path:
        sys.path[0] = folder


def _fresh_main() -> ModuleType:
    main = ModuleType("__main__")
    vars(main).update(__builtins__=builtins, __cached__=None)
    if sys.version_info < (3, 14):
        main.__annotations__ = {}
    sys.modules["__main__"] = main
    return main
