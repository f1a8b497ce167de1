"""HTML as values: what is not `Markup` is escaped when it becomes part of an element, so nothing can be forgotten."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from gradscope.render.escape import html, prose
from gradscope.render.table import Cell, Column, Table, Tone

if TYPE_CHECKING:
    from collections.abc import Sequence

_VOID = {"img", "input", "meta", "link", "br"}


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def tag(name: str, /, *children: str, **attributes: str | None) -> Markup:
    """An element. `class_` is `class`, `data_value` is `data-value`; an attribute that is None is left out."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{name}{given}>" if name in _VOID else f"<{name}{given}>{join(*children)}</{name}>")


def join(*children: str) -> Markup:
    """Pieces of HTML and text, one after another."""
    return Markup("".join(child if isinstance(child, Markup) else html(child) for child in children))


def words(message: str) -> Markup:
    """A message: what it has in backticks becomes code."""
    return join(*(tag("code", text) if code else text for code, text in prose(message)))


def table(content: Table, *, id_: str | None = None, caption: str, class_: str = "") -> Markup:
    """A table whose first column names its rows."""
    heads = [tag("th", column.title, scope="col", class_=_class(column)) for column in content.columns]
    rows = [tag("tr", *_cells(content.columns, row)) for row in content.rows]
    parts = (tag("caption", caption), tag("thead", tag("tr", *heads)), tag("tbody", *rows))
    return tag("table", *parts, id=id_, class_=class_ or None)


def _cells(columns: Sequence[Column], row: Sequence[Cell]) -> list[Markup]:
    first, *others = zip(columns, row, strict=True)
    return [
        tag("th", _text(first[1]), scope="row", class_=_class(first[0])),
        *(_datum(column, cell) for column, cell in others),
    ]


@lru_cache(maxsize=1 << 14)
def _datum(column: Column, cell: Cell) -> Markup:
    """Kept, as most cells of a long table are like others: shapes, types, states, counts."""
    return tag("td", _text(cell), class_=_class(column), data_v=_value(cell))


def _text(cell: Cell) -> str:
    if cell.tone is Tone.NEUTRAL or not cell.text:
        return cell.text
    return tag("span", cell.text, class_=f"t-{cell.tone}")


def _class(column: Column) -> str | None:
    return " ".join(name for name, holds in (("n", column.number), ("c", column.code)) if holds) or None


def _value(cell: Cell) -> str | None:
    return None if cell.value is None else f"{cell.value:.6g}"
