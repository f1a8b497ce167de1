"""Source lines around the lines a report blames.

`read_sources` is the one function of this package that touches the disk; renderers take what it returns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gradscope.records import Location
    from gradscope.report import Report

Sources = Mapping[str, str]
"""File as it is called in the report -> its whole text."""

_AROUND = 2
_TOO_LARGE = 2_000_000


def read_sources(report: Report) -> dict[str, str]:
    """The text of every file that a finding blames, as far as it can be read now."""
    files = {place.file for f in report.findings for place in ((f.location,) if f.location else ()) + f.also}
    found = ((file, _read(Path(file))) for file in sorted(files))
    return {file: text for file, text in found if text is not None}


def excerpt(location: Location, sources: Sources) -> list[tuple[int, str]]:
    """Numbered lines around a location; the recorded line alone if the file is unknown or has changed since."""
    alone = [(location.line, location.text.strip())] if location.text.strip() else []
    lines = sources.get(location.file, "").splitlines()
    at = location.line - 1
    if not 0 <= at < len(lines) or (location.text and lines[at].strip() != location.text.strip()):
        return alone
    first = max(0, at - _AROUND)
    return list(enumerate(_dedented(lines[first : at + _AROUND + 1]), first + 1))


def _dedented(lines: Iterable[str]) -> list[str]:
    expanded = [line.expandtabs(4) for line in lines]
    margin = min((len(line) - len(line.lstrip()) for line in expanded if line.strip()), default=0)
    return [line[margin:].rstrip() for line in expanded]


def _read(path: Path) -> str | None:
    try:
        if not path.is_file() or path.stat().st_size > _TOO_LARGE:
            return None
        return path.read_text(encoding="utf-8", errors="replace")
    except (OSError, ValueError):
        return None
