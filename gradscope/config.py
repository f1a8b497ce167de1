"""`[tool.gradscope]` in pyproject.toml: what `gradscope check` and the pytest plugin use where nothing else is said.

The nearest pyproject.toml upwards from the working directory counts. A key or a value that makes no sense is refused:
a misspelt one would silently let all pass.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from gradscope.errors import GradscopeError

SEVERITIES = ("error", "warning")
"""The least severity that can fail a run."""


@dataclass(frozen=True, slots=True)
class Config:
    """The keys of the table, with hyphens for underscores."""

    select: tuple[str, ...] = ()
    """Rules, by name, code or the beginning of codes: only these are told."""
    ignore: tuple[str, ...] = ()
    """... and these are not."""
    fail_on: str = "error"
    """The least severity that fails."""
    expect_no_grad: tuple[str, ...] = ()
    """Models that are meant to get no gradient."""
    baseline: str | None = None
    """File of known findings; relative to pyproject.toml."""

    @property
    def failing(self) -> tuple[str, ...]:
        """The severities that fail."""
        return SEVERITIES[: SEVERITIES.index(self.fail_on) + 1]


def read_config(folder: Path) -> Config:
    """The configuration that holds in a folder; the defaults where no pyproject.toml has any."""
    for place in (folder, *folder.parents):
        path = place / "pyproject.toml"
        if path.is_file():
            return _read(path)
    return Config()


def _read(path: Path) -> Config:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8")).get("tool", {}).get("gradscope", {})
    except (OSError, ValueError) as error:
        raise GradscopeError(f"cannot read {path}: {error}") from None
    if not isinstance(table, dict):
        raise GradscopeError(f"{path}: [tool.gradscope] is no table")
    known = {field.name.replace("_", "-"): field.name for field in fields(Config)}
    found: dict[str, Any] = {}
    for key, value in table.items():
        if key not in known:
            near = get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(known))}"
            raise GradscopeError(f"{path}: [tool.gradscope] has no key {key!r}: {hint}")
        found[known[key]] = _checked(path, key, value)
    if "baseline" in found:
        found["baseline"] = str(path.parent / found["baseline"])
    return Config(**found)


def _checked(path: Path, key: str, value: Any) -> Any:
    if key == "fail-on":
        if value not in SEVERITIES:
            raise GradscopeError(f'{path}: fail-on in [tool.gradscope] is "error" or "warning", not {value!r}')
        return value
    if key == "baseline":
        if not isinstance(value, str):
            raise GradscopeError(f"{path}: baseline in [tool.gradscope] is the name of a file, not {value!r}")
        return value
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise GradscopeError(f'{path}: {key} in [tool.gradscope] is a list such as ["..."], not {value!r}')
    return tuple(value)
