"""Room around axes: for a title, a legend and names, also where the axes are the user's and nothing makes room."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

Entry: TypeAlias = "Artist | tuple[Artist, ...]"
"""What stands in a legend: one thing, or several drawn on each other, of which the first has the words."""

MAX_LEGEND_ROWS = 4
FEW = 2
"""In so few columns, twice as many rows."""
SPILL = 1.12
"""A legend may be so much wider than its axes are before there is a layout."""


def inches(ax: Axes) -> tuple[float, float]:
    """Width and height of the axes, as they are now."""
    dpi = _figure(ax).dpi
    return ax.bbox.width / dpi, ax.bbox.height / dpi


def points(ax: Axes, pixels: float) -> float:
    """A length on these axes as it is printed."""
    return pixels * 72 / _figure(ax).dpi


def is_fixed(ax: Axes) -> bool:
    """Nothing makes room for what stands around these axes."""
    return _figure(ax).figure.get_layout_engine() is None


def is_constrained(ax: Axes) -> bool:
    """Room is made for each part that stands around these axes, also for a bar of colours."""
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    return isinstance(_figure(ax).figure.get_layout_engine(), ConstrainedLayoutEngine)


def give_room(ax: Axes, *, right: float = 0.0, top: float = 0.0) -> None:
    """Where nobody else makes room around the user's axes, take it from the axes themselves."""
    if is_fixed(ax):
        box, place = _figure(ax).bbox, ax.get_position()
        wide, high = place.width - right / points(ax, box.width), place.height - top / points(ax, box.height)
        ax.set_position((place.x0, place.y0, max(wide, 0.3 * place.width), max(high, 0.3 * place.height)))


def head(ax: Axes, words: str, handles: Iterable[Entry] = (), *, above: float = 0.0) -> None:
    """A title, and below it a legend where it covers nothing. `above`: points over the axes that are taken."""
    shown = list(handles)
    if shown:
        above += _legend(ax, shown, above)
    give_room(ax, top=above)
    ax.set_title(words, pad=above + 6)


def _legend(ax: Axes, shown: list[Entry], above: float) -> float:
    """A legend over the axes in as many columns as fit; returns how many points it is high."""
    from matplotlib.artist import Artist
    from matplotlib.lines import Line2D
    from matplotlib.transforms import ScaledTranslation

    up = ax.transAxes + ScaledTranslation(0, above / 72, _figure(ax).dpi_scale_trans)
    looks: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0.0, 1.0), "bbox_transform": up}
    for columns in range(min(len(shown), 6), 0, -1):
        most = columns * (MAX_LEGEND_ROWS if columns > FEW else 2 * MAX_LEGEND_ROWS)
        fitting = shown
        if len(shown) > most:
            fitting = [*shown[: most - 1], Line2D([], [], linestyle="", label=f"{len(shown) - most + 1} more")]
        labels = [str((each if isinstance(each, Artist) else each[0]).get_label()) for each in fitting]
        legend = ax.legend(fitting, labels, ncols=columns, borderaxespad=0.2, frameon=False, fontsize=8, **looks)
        box = legend.get_window_extent()
        if box.width <= ax.bbox.width * (1.0 if is_fixed(ax) else SPILL):
            break
    return points(ax, box.height) + 2


def _figure(ax: Axes) -> Figure | SubFigure:
    figure = ax.get_figure()
    assert figure is not None
    return figure
