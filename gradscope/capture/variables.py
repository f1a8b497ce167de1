"""The names a program gives to an object: variables, attributes and items that lead to it, found in running frames."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterable, Iterator
from types import FrameType, FunctionType, ModuleType
from typing import Any

from gradscope.capture.source import is_library
from gradscope.capture.statements import tree_of

_ITEMS = 32
_PLAIN = (str, int, float, bool, bytes, type(None), type, ModuleType, FunctionType)


def variables_of(frame: FrameType) -> dict[str, Any]:
    """A copy of a frame's local variables that keeps nothing alive in the frame."""
    kept = frame.f_locals
    found = dict(kept)
    code = frame.f_code
    # Up to Python 3.12 a function's frame remembers this dict until it ends, and with it models the user deletes.
    # Three references: the frame's, `kept`, and the argument. More: the user holds the result of locals().
    if sys.version_info < (3, 13) and code.co_flags & inspect.CO_OPTIMIZED and sys.getrefcount(kept) <= 3:
        for name in (*code.co_varnames, *code.co_cellvars, *code.co_freevars):
            kept.pop(name, None)
    return found


def user_frames(frame: FrameType | None) -> Iterator[FrameType]:
    """The frames of the user's code, innermost first."""
    while frame is not None:
        if not is_library(frame.f_code.co_filename):
            yield frame
        frame = frame.f_back


def reachable(frame: FrameType | None) -> Iterator[tuple[str, Any]]:
    """What the variables of some frames hold, with a name for it: innermost frame and shortest name first."""
    seen: set[int] = set()
    for user in user_frames(frame):
        for variables in (variables_of(user), user.f_globals):
            if id(variables) not in seen:
                seen.add(id(variables))
                shown = [(name, value) for name, value in list(variables.items()) if not name.startswith("__")]
                yield from shown
                for name, value in shown:
                    for suffix, item in _inside(value):
                        yield f"{name}{suffix}", item


def _inside(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, item in list(value.items())[:_ITEMS]:
            if isinstance(key, (str, int)):
                yield f"[{key!r}]", item
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value[:_ITEMS]):
            yield f"[{index}]", item
    elif not isinstance(value, _PLAIN):
        attributes = getattr(value, "__dict__", None)
        if isinstance(attributes, dict):
            for name, item in list(attributes.items()):
                yield f".{name}", item
                if isinstance(item, (dict, list, tuple)) and not name.startswith("_"):
                    yield from ((f".{name}{suffix}", inner) for suffix, inner in _inside(item))


_FILES = 200


def imported_files(files: Iterable[str]) -> list[str]:
    """These files and the user's files they import, directly or not."""
    found = dict.fromkeys(files)
    todo = list(found)
    modules = _user_modules()
    while todo and len(found) < _FILES:
        tree = tree_of(todo.pop(0))
        for name in _imported(tree) if tree is not None else ():
            for module, file in modules.items():
                if (module == name or module.endswith(f".{name}")) and file not in found:
                    found[file] = None
                    todo.append(file)
    return list(found)


def _user_modules() -> dict[str, str]:
    answer = {}
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and file.endswith(".py") and not is_library(file):
            answer[name] = file
    return answer


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.module:
                yield node.module
            yield from (f"{node.module}.{alias.name}" if node.module else alias.name for alias in node.names)


def variable_name(model: object, frame: FrameType) -> str | None:
    """The name that a caller's variables give an object, else the attribute of one of them that holds it."""
    namespaces = [variables_of(frame), frame.f_globals]
    for variables in namespaces:
        for name, value in variables.items():
            if value is model and not name.startswith("_"):
                return name
    for variables in namespaces:
        for holder in list(variables.values()):
            inside = {} if isinstance(holder, _PLAIN) else getattr(holder, "__dict__", {})
            for attribute, value in [*inside.items(), *(inside.get("_modules") or {}).items()]:
                if value is model and not attribute.startswith("_"):
                    return str(attribute)
    return None


def arguments_of(function: object) -> frozenset[str]:
    """The names of a function's arguments."""
    code = getattr(function, "__code__", None)
    return frozenset(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]) if code else frozenset()
