"""Facts about the source: what the user declared in it. Part of the records, see the package."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Declaration:
    """A comment `# gradscope: ...`, and the statement it is about: lines `first` to `last`."""

    file: str
    line: int
    first: int
    last: int
    text: str
    codes: tuple[str, ...] = ()
    """Beginnings of the rule codes it lets pass; empty if it was not understood."""
    targets: tuple[str, ...] = ()
    """Last names that the statement assigns to."""
