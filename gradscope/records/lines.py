"""Lines of source, and the way to them. Part of the records, see the package."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Location:
    """A line of source. `file` is relative to the working directory where it can be; `text` is stripped."""

    file: str
    line: int
    function: str = ""
    text: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


Path = tuple[Location, ...]
"""The user's frames that lead to a line, outermost first; the last entry is the line itself."""
