"""Room around axes: for a title, a legend and names, also where the axes are the user's and nothing makes room.

Without a layout engine the axes are made smaller, until all that stands around them is inside of their share: their
cell of the grid, with what is left of it (the numbers and names of an axis stand there) and half of what is above and
below.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from gradscope.render.figures_places import trim

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure
    from matplotlib.text import Text
    from matplotlib.transforms import Bbox

Entry: TypeAlias = "Artist | tuple[Artist, ...]"
"""What stands in a legend: one thing, or several drawn on each other, of which the first has the words."""

MAX_LEGEND_ROWS = 4
FEW = 2
"""In so few columns, twice as many rows."""
SMALL = (4.6, 3.6)
"""Inches of a share: what is narrower or lower has to do with less around the data."""
TINY = 2.2
SMALL_LETTERS, SMALL_LABEL, SMALL_TITLE = 7.0, 8.5, 9.0
SMALL_ROWS = 3
"""Rows of a legend over small axes."""
MARGIN = 7
"""Points of the share that stay empty: letters are not equally wide at every resolution."""
LEAST_LINE = 8
"""Characters of a line that is not broken further."""
SPILL = 1.12
"""A legend may be so much wider than its axes are before there is a layout."""


def inches(ax: Axes) -> tuple[float, float]:
    """Width and height of the axes, as they are now."""
    dpi = _figure(ax).dpi
    return ax.bbox.width / dpi, ax.bbox.height / dpi


def points(ax: Axes, pixels: float) -> float:
    """A length on these axes as it is printed."""
    return pixels * 72 / _figure(ax).dpi


def is_small(ax: Axes) -> bool:
    """Axes among others of the user's that have no room for notes, or for a name on each tick."""
    if getattr(_figure(ax).figure, "is_sheet", False):
        return False
    share, dpi = _share(ax), _figure(ax).dpi
    return bool(share.width < SMALL[0] * dpi or share.height < SMALL[1] * dpi)


def is_tiny(ax: Axes) -> bool:
    """Small axes that have no room for long names beside them either."""
    return is_small(ax) and _share(ax).width < TINY * _figure(ax).dpi


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
        trim(ax, right=right / 72, high=top / 72)


def head(ax: Axes, words: str, handles: Iterable[Entry] = (), *, above: float = 0.0) -> None:
    """A title, and below it a legend where it covers nothing; called last, when all else stands around the axes.

    `above`: points over the axes that are taken.
    """
    settle(ax)
    shown = list(handles)
    if shown:
        above += _legend(ax, shown, above)
    give_room(ax, top=above)
    title = ax.set_title(words, pad=above + (3 if is_small(ax) else 6))
    if is_small(ax):
        title.set_fontsize(min(title.get_fontsize(), SMALL_TITLE))
        if is_fixed(ax) and title.get_window_extent().width > _across(ax):
            title.set_x(_middle(ax))
    _wrap(ax, title, ax.xaxis.label)
    _fit(ax)


def lay_out(ax: Axes) -> None:
    """Let a layout engine put the axes where they will be, if there is one."""
    figure = _figure(ax).figure
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)


def settle(ax: Axes) -> None:
    """Make the user's axes so small that nothing around them leaves their share."""
    if is_small(ax):
        _shorten(ax)
    _fit(ax)


def _fit(ax: Axes) -> None:
    if not is_fixed(ax):
        return
    around, share, dpi = ax.get_tightbbox(for_layout_only=True), _share(ax), _figure(ax).dpi
    if around is None:
        return
    left, right = max(share.x0 - around.x0, 0.0), max(around.x1 - share.x1, 0.0)
    low, high = max(share.y0 - around.y0, 0.0), max(around.y1 - share.y1, 0.0)
    trim(ax, left=left / dpi, right=right / dpi, low=low / dpi, high=high / dpi)


def _shorten(ax: Axes) -> None:
    """Small letters at the ticks, and of the names of the axes only what has room: no note below."""
    ax.tick_params(labelsize=SMALL_LETTERS, length=2.5, pad=2.5)
    ax.xaxis.labelpad = 2.0
    lay_out(ax)
    for label, most in ((ax.xaxis.label, _across(ax)), (ax.yaxis.label, 0.75 * ax.bbox.height)):
        label.set_fontsize(min(label.get_fontsize(), SMALL_LABEL))
        label.set_text(label.get_text().partition("\n")[0])
        for end in (";", " (", ","):
            box = label.get_window_extent()
            if max(box.width, box.height) > most:
                label.set_text(label.get_text().partition(end)[0])


def _across(ax: Axes) -> float:
    """How wide something may be that stands in the middle over or under the axes."""
    share, middle = _share(ax), (ax.bbox.x0 + ax.bbox.x1) / 2
    return 2 * float(min(middle - share.x0, share.x1 - middle))


def _middle(ax: Axes) -> float:
    """The middle of the share, in widths of the axes."""
    share = _share(ax)
    return float(((share.x0 + share.x1) / 2 - ax.bbox.x0) / ax.bbox.width)


def _share(ax: Axes) -> Bbox:
    """The part of the figure, in pixels, that belongs to the axes: all of it where they are in no grid."""
    from matplotlib.transforms import Bbox

    figure, spec = _figure(ax), ax.get_subplotspec()
    x0, y0, x1, y1 = 0.0, 0.0, 1.0, 1.0
    if spec is not None:
        bottoms, tops, _, rights = spec.get_gridspec().get_grid_positions(cast("Figure", figure))
        rows, columns = spec.rowspan, spec.colspan
        x0 = rights[columns.start - 1] if columns.start else x0
        x1 = rights[columns.stop - 1] if columns.stop < len(rights) else x1
        y0 = (bottoms[rows.stop - 1] + tops[rows.stop]) / 2 if rows.stop < len(tops) else y0
        y1 = (bottoms[rows.start - 1] + tops[rows.start]) / 2 if rows.start else y1
    page, edge = figure.bbox, MARGIN * figure.dpi / 72
    return Bbox.from_extents(
        page.x0 + x0 * page.width + edge,
        page.y0 + y0 * page.height + edge,
        page.x0 + x1 * page.width - edge,
        page.y0 + y1 * page.height - edge,
    )


def _wrap(ax: Axes, *texts: Text) -> None:
    """Break a title or the name of an axis into lines that stay inside of the share of the axes."""
    share = _share(ax)
    if all(text.get_window_extent().width < share.width / 2 for text in texts):
        return
    lay_out(ax)
    for text in texts:
        left = text.get_horizontalalignment() == "left"
        middle = text.get_window_extent().get_points()[:, 0].mean()
        room = share.x1 - ax.bbox.x0 if left else 2 * min(middle - share.x0, share.x1 - middle)
        words = text.get_text()
        most = int(len(words) * room / text.get_window_extent().width) if words else 0
        while text.get_window_extent().width > room and most >= LEAST_LINE:
            text.set_text(textwrap.fill(words, most))
            most -= 1


def _legend(ax: Axes, shown: list[Entry], above: float) -> float:
    """A legend over the axes in as many columns as fit; returns how many points it is high."""
    from matplotlib.artist import Artist
    from matplotlib.lines import Line2D
    from matplotlib.transforms import ScaledTranslation

    small = is_small(ax)
    up = ax.transAxes + ScaledTranslation(0, above / 72, _figure(ax).dpi_scale_trans)
    looks: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0.0, 1.0), "bbox_transform": up, "fontsize": 8}
    if small:
        looks |= {
            "fontsize": SMALL_LETTERS,
            "columnspacing": 1.0,
            "handlelength": 1.5,
            "labelspacing": 0.1,
            "borderpad": 0.2,
        }
    most_wide = ax.bbox.width * (1.0 if is_fixed(ax) else SPILL)
    if small and is_fixed(ax):
        looks |= {"loc": "lower center", "bbox_to_anchor": (_middle(ax), 1.0)}
        most_wide = _share(ax).width
    for columns in range(min(len(shown), 6), 0, -1):
        rows = SMALL_ROWS + (columns == 1) if small else MAX_LEGEND_ROWS if columns > FEW else 2 * MAX_LEGEND_ROWS
        most = columns * rows
        fitting = shown
        if len(shown) > most:
            fitting = [*shown[: most - 1], Line2D([], [], linestyle="", label=f"and {len(shown) - most + 1} more")]
        labels = [str((each if isinstance(each, Artist) else each[0]).get_label()) for each in fitting]
        legend = ax.legend(fitting, labels, ncols=columns, borderaxespad=0.2, frameon=False, **looks)
        box = legend.get_window_extent()
        if box.width <= most_wide:
            break
    return points(ax, box.height) + 2


def _figure(ax: Axes) -> Figure | SubFigure:
    figure = ax.get_figure()
    assert figure is not None
    return figure
