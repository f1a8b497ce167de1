"""Writes the generated parts of README.md and draws its pictures, each from a real run: `python assets/make.py`.

A part stands between `<!-- begin: NAME -->` and `<!-- end: NAME -->`.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from gradscope.cli.rules import summary
from gradscope.diagnosis.rules import RULES

README = Path(__file__).parents[1] / "README.md"


def demo() -> str:
    """What `gradscope demo` prints, as a reader sees it."""
    done = subprocess.run(
        [sys.executable, "-m", "gradscope", "demo"],
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )
    return f"```console\n$ gradscope demo\n{done.stdout.strip()}\n```"


def rules() -> str:
    """The table of all rules; the first line of each manual says what it finds."""
    rows = [f"| {rule.code} | {rule.name} | {summary(rule)} |" for rule in RULES]
    return "\n".join(["| code | name | finds |", "| --- | --- | --- |", *rows])


PARTS = {"demo": demo, "rules": rules}


def insert(text: str, name: str, part: str) -> str:
    """The text with one part replaced."""
    pattern = re.compile(f"(<!-- begin: {name} -->\n).*?(<!-- end: {name} -->)", re.DOTALL)
    assert pattern.search(text), f"README.md has no place for {name}"
    return pattern.sub(lambda match: f"{match[1]}{part}\n{match[2]}", text)


def main() -> None:
    import pictures  # beside this file: found when it is run, not when a test reads it

    text = README.read_text(encoding="utf-8")
    for name, make in PARTS.items():
        text = insert(text, name, make())
    README.write_text(text, encoding="utf-8")
    pictures.main()


if __name__ == "__main__":
    main()
