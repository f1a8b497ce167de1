"""What of a run was kept: pictures over time show where nothing is known, and never draw it as data or as absence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import TYPE_CHECKING

from gradscope.diagnosis.finding import State
from gradscope.render import figures_style as style
from gradscope.render.words import UNKNOWN

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.patches import Patch

    from gradscope.report import Report

COLUMNS = 480
"""More columns are narrower than a pixel or two."""
FEWEST = 24
"""So many columns a sample still fills; where it does not, something is missing."""
SPARE = 0.05
LONG = 4
"""A gap so many times as long as usual is missing data."""
ENOUGH = 3
"""Of fewer gaps none is usual."""

Span = tuple[int, int]
"""From, and up to but without."""


@dataclass(frozen=True, slots=True)
class Kept:
    """`total` passes in columns of `width` passes; `holes` are stretches of columns of which nothing was kept."""

    total: int
    amount: int
    width: int
    holes: tuple[Span, ...]

    @property
    def columns(self) -> int:
        return -(-self.total // self.width)

    @property
    def axis(self) -> str:
        """What the axis shows, in words."""
        part = f", {self.amount:,} of {self.total:,} kept" if self.amount < self.total else ""
        return f"backward pass{part}"


def kept_of(indexes: Sequence[int], total: int) -> Kept:
    """Columns as narrow as the kept passes can fill, and the holes that they leave."""
    total = max(total, indexes[-1] + 1 if indexes else 1)
    width = -(-total // COLUMNS)
    widths = [width]
    while total // (2 * widths[-1]) >= FEWEST:
        widths.append(2 * widths[-1])
    empty = {w: 1 - len({i // w for i in indexes}) / -(-total // w) for w in widths}
    width = next(w for w in widths if empty[w] <= empty[widths[-1]] + SPARE)
    filled = {i // width for i in indexes}
    holes = []
    for there, group in groupby(range(-(-total // width)), filled.__contains__):
        columns = list(group)
        if not there:
            holes.append((columns[0] * width, min((columns[-1] + 1) * width, total)))
    return Kept(total, len(indexes), width, tuple(holes))


def gaps_of(steps: Sequence[int]) -> list[Span]:
    """Of steps that are sampled now and then: where far more than usual is missing."""
    lengths = sorted(b - a for a, b in pairwise(steps))
    if len(lengths) < ENOUGH:
        return []
    usual = lengths[int(0.9 * (len(lengths) - 1))]
    return [(a + 1, b) for a, b in pairwise(steps) if b - a > LONG * max(usual, 2)]


def unfed(report: Report, uids: Iterable[int]) -> str:
    """Why there is nothing to draw of parameters that never received a gradient."""
    return "frozen" if {report.states.get(uid) for uid in uids} == {State.FROZEN} else "no gradient"


def crosses(holes: Sequence[Span], before: float, after: float) -> bool:
    """Whether nothing is known of a stretch between two positions: no line leads from one to the other."""
    return any(before < end and start < after for start, end in holes)


def mark_holes(ax: Axes, holes: Sequence[Span]) -> list[Patch]:
    """Bands over what was not kept, and their entry in the legend."""
    from matplotlib.patches import Patch

    looks = style.unknown_looks(ax)
    for start, end in holes:
        ax.axvspan(start - 0.5, end - 0.5, zorder=0.4, **looks)
    return [Patch(label=UNKNOWN, **looks)] if holes else []
