"""Tables in fixed-width characters: columns as wide as their content; of a wide one only a column of prose is cut."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gradscope.render.escape import plain
from gradscope.render.table import Table, Tone

if TYPE_CHECKING:
    from collections.abc import Sequence

_CODES = {
    Tone.NEUTRAL: "",
    Tone.QUIET: "2",
    Tone.GOOD: "32",
    Tone.SOMETIMES: "36",
    Tone.ZERO: "33",
    Tone.NONE: "31",
    Tone.BROKEN: "35",
}
_GAP = "  "
_CUT = "..."


@dataclass(frozen=True, slots=True)
class Paint:
    """Colours text with terminal codes, or leaves it alone."""

    color: bool

    def __call__(self, text: str, tone: Tone, *, bold: bool = False) -> str:
        codes = ";".join(code for code in ("1" if bold else "", _CODES[tone]) if code)
        return f"\x1b[{codes}m{text}\x1b[0m" if self.color and codes and text.strip() else text


def grid(table: Table, paint: Paint, *, width: int, fixed: int, shrinks: tuple[int, int] | None = None) -> list[str]:
    """The table as lines; when it is too wide, the columns after the `fixed` first go on in further blocks.

    `shrinks` is a column whose text is cut before that, and how wide it stays at least.
    """
    texts = [[plain(column.title) for column in table.columns]]
    texts += [[plain(cell.text) for cell in row] for row in table.rows]
    widths = [max(map(display_width, column)) for column in zip(*texts, strict=True)]
    over = sum(w + len(_GAP) for w in widths) - width
    if shrinks is not None and over > 0:
        column, least = shrinks
        widths[column] = min(widths[column], max(widths[column] - over, least, len(table.columns[column].title)))
        for row in texts:
            row[column] = shortened(row[column], widths[column])
    lines: list[str] = []
    for block in _blocks(widths, width, fixed):
        if lines:
            lines.append("")
        lines += [_line(table, paint, texts[i], widths, block, i - 1) for i in range(len(texts))]
    return lines


def shortened(text: str, room: int) -> str:
    """A text that is no name, cut to so many columns."""
    if display_width(text) <= room:
        return text
    while display_width(text) > room - len(_CUT):
        text = text[:-1]
    return text.rstrip() + _CUT


def display_width(text: str) -> int:
    """Columns a terminal gives to a text: wide characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 1 + (unicodedata.east_asian_width(c) in "WF") for c in text)


def _blocks(widths: Sequence[int], width: int, fixed: int) -> list[list[int]]:
    start = list(range(min(fixed, len(widths))))
    used = sum(widths[i] + len(_GAP) for i in start)
    blocks, room = [list(start)], width - used
    for i in range(len(start), len(widths)):
        need = widths[i] + len(_GAP)
        if need > room and len(blocks[-1]) > len(start):
            blocks.append(list(start))
            room = width - used
        blocks[-1].append(i)
        room -= need
    return blocks


def _line(table: Table, paint: Paint, texts: list[str], widths: list[int], block: list[int], row: int) -> str:
    """One line of the table; row -1 is the heading."""
    parts = []
    for i in block:
        gap = " " * (widths[i] - display_width(texts[i]))
        shown = paint(texts[i], Tone.QUIET if row < 0 else table.rows[row][i].tone)
        parts.append(gap + shown if table.columns[i].number else shown + gap)
    return _GAP + _GAP.join(parts).rstrip()
