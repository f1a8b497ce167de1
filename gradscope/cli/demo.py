"""Train a small broken example on real digits and say what is wrong with it.

NAME is situation/version, such as chain/detached, or a situation alone for its first broken version. The script is
copied to a temporary folder and run there by `gradscope run`. Exit status: 0, or 2 if there is no such example.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from argparse import ArgumentParser, Namespace
from pathlib import Path

from gradscope.cli import run as run_command
from gradscope.demo import FOLDER, scripts
from gradscope.errors import ScriptError

DEFAULT = "two_into_one"


def configure(parser: ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", default=DEFAULT, metavar="NAME", help=f"which one ({DEFAULT})")
    parser.add_argument("--list", action="store_true", help="list the examples and what is wrong with each")
    parser.add_argument("--source", action="store_true", help="print the script instead of running it")
    parser.set_defaults(module=False, steps=None, out=None, no_compile=False)
    parser.set_defaults(json=None, markdown=None, html=None, quiet=False)


def run(args: Namespace) -> int:
    if args.list:
        for name in scripts():
            print(f"{name:40}{headline(name)}")
        return 0
    name = find(args.name)
    if args.source:
        print((FOLDER / f"{name}.py").read_text(encoding="utf-8"), end="")
        return 0
    return _train(name, args)


def find(wanted: str) -> str:
    """The full name of an example. Raises ScriptError with those that there are."""
    for name in scripts():
        if wanted in (name, name.split("/")[0]):
            return name
    raise ScriptError(f"no example is called {wanted}; there are {', '.join(scripts())}")


def headline(name: str) -> str:
    """The first line of an example, which says what it is or what is wrong with it."""
    first, _, _ = (FOLDER / f"{name}.py").read_text(encoding="utf-8").partition("\n")
    return first.strip('"')


def _train(name: str, args: Namespace) -> int:
    before = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="gradscope-demo-") as folder:
        script = shutil.copy(FOLDER / f"{name}.py", folder)
        os.chdir(folder)
        try:
            print(f"gradscope demo: {name}\n{headline(name)}\n\n$ gradscope run {Path(script).name}", flush=True)
            args.target = [Path(script).name]
            status = run_command.run(args)
        finally:
            os.chdir(before)
    print(f"\nRead it with `gradscope demo --source {name}`; `gradscope demo --list` shows all examples.")
    return status
