"""What of a run was kept: pictures over time show where nothing is known, and never draw it as data or as absence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from gradscope.diagnosis.finding import State
from gradscope.records import OptimizerStep
from gradscope.render import figures_style as style
from gradscope.render.words import known_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.patches import Patch

    from gradscope.records import Backward, Run
    from gradscope.report import Report

COLUMNS = 480
"""More columns are narrower than a pixel or two."""
FEWEST = 24
"""So many columns a sample still fills; where it does not, something is missing."""
SPARE = 0.05
LONG = 4
"""A gap so many times as long as usual is missing data."""
TOGETHER = 0.01
"""Share of a run: two gaps with less between them are seen as one."""
RARE = 0.05
"""Share of passes that is not told of."""
ADDED = "+ earlier"
ADDED_SAYS = f"{ADDED}: with what earlier passes had left in .grad"
ENOUGH = 3
"""Of fewer gaps none is usual."""

Span = tuple[int, int]
"""From, and up to but without."""


@dataclass(frozen=True, slots=True)
class Kept:
    """`total` passes in columns of `width` passes, or of `narrow` ones: a whole number of these is as wide."""

    total: int
    width: int
    narrow: int

    @property
    def columns(self) -> int:
        return -(-self.total // self.width)


def kept_of(indexes: Sequence[int], total: int, least: int = 1) -> Kept:
    """Columns as narrow as can be drawn, of `least` passes, and columns as narrow as the kept passes can fill."""
    total = max(total, indexes[-1] + 1 if indexes else 1)
    widths = [max(-(-total // COLUMNS), least)]
    while total // (2 * widths[-1]) >= FEWEST:
        widths.append(2 * widths[-1])
    empty = {w: 1 - len({i // w for i in indexes}) / -(-total // w) for w in widths}
    width = next(w for w in widths if empty[w] <= empty[widths[-1]] + SPARE)
    return Kept(total, width, widths[0])


def of_passes(run: Run, below: str) -> str:
    """A label for an axis, and under it for how many passes norms are there, if not for all."""
    return "\n".join(filter(None, (below, known_words(run))))


def is_added(events: Iterable[Backward], uids: Set[int]) -> bool:
    """Whether passes add to what earlier ones had left in `.grad`: a norm after them is of the sum."""
    reached = [event for event in events if not uids.isdisjoint(event.norms)]
    return sum(not uids.isdisjoint(event.added) for event in reached) > RARE * len(reached)


def gaps_of(places: Sequence[int], total: int | None = None) -> list[Span]:
    """Of places that are sampled now and then: where far more than usual is missing, up to the end if that is given."""
    lengths = sorted(b - a for a, b in pairwise(places))
    if len(lengths) < ENOUGH:
        return []
    usual = lengths[int(0.9 * (len(lengths) - 1))]
    ends = (*places, total) if total is not None else places
    return [(a + 1, b) for a, b in pairwise(ends) if b - a > LONG * max(usual, 2)]


def uncompared(run: Run, compared: Sequence[int], total: int) -> list[Span]:
    """Where optimizers stepped, and no update was compared: of many short stretches that are close, one long one."""
    taken = {event.step for event in (*run.events, *run.between) if isinstance(event, OptimizerStep)}
    idle = {event.step for event in run.events} - taken
    ends = pairwise((-1, *compared, total))
    found = [(a + 1, b) for a, b in ends if b > a + 1 and not idle.issuperset(range(a + 1, b))]
    spans: list[Span] = []
    for start, end in found:
        close = bool(spans) and start - spans[-1][1] <= TOGETHER * total
        spans.append((spans.pop()[0] if close else start, end))
    return spans


def unfed(report: Report, uids: Iterable[int]) -> str:
    """Why there is nothing to draw of parameters that never received a gradient."""
    return "frozen" if {report.states.get(uid) for uid in uids} == {State.FROZEN} else "no gradient"


def crosses(holes: Sequence[Span], before: float, after: float) -> bool:
    """Whether nothing is known of a stretch between two positions: no line leads from one to the other."""
    return any(before < end and start < after for start, end in holes)


def mark_holes(ax: Axes, holes: Sequence[Span], words: str) -> list[Patch]:
    """Bands over what is not known, and their entry in the legend."""
    from matplotlib.patches import Patch

    looks = style.unknown_looks(ax) | {"facecolor": "none"}  # a band of what is usual goes on below
    for start, end in holes:
        ax.axvspan(start - 0.5, end - 0.5, zorder=0.4, **looks)
    return [Patch(label=words, **looks)] if holes else []
