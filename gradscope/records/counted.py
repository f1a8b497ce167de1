"""What is counted over a whole run: exact, however little is kept of the events. See the package."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gradscope.records.lines import Location


@dataclass(frozen=True, slots=True)
class Tally:
    """What happened to one parameter over the whole run; exact even where old events were dropped."""

    backwards: int = 0
    """Backward passes that delivered a gradient to it."""
    zero: int = 0
    nonfinite: int = 0
    measured: int = 0
    first_backward: int | None = None
    last_backward: int | None = None
    first_nonfinite: int | None = None
    first_nonfinite_step: int | None = None
    """The step of that pass."""
    zero_streak: int = 0
    """Measured backward passes since the last one with a gradient that was not zero."""
    steps: int = 0
    """Steps of optimizers that hold it."""
    steps_none: int = 0
    """... at which its gradient was None."""
    none_streak: int = 0
    """... of those, how many in a row at the end."""
    trainable_steps: int = 0
    """Steps of its optimizers at which it required a gradient."""
    stepped_nonfinite: int = 0
    """Steps that applied a NaN or Inf."""
    compared: int = 0
    """Steps after which its value was compared with the value before."""
    unchanged: int = 0
    norm_max: float | None = None
    norm_last: float | None = None
    ratio_last: float | None = None


@dataclass(frozen=True, slots=True)
class Passes:
    """All passes that one line ran, counted over the whole run: exact even where old events were dropped."""

    location: Location | None
    count: int
    reached: frozenset[int] = frozenset()
    """Parameters that received a gradient from any of them."""
    last: Mapping[int, int] = field(default_factory=dict)
    """Per parameter that it reached once and not in its last pass: the number of the last that did, among its own."""


@dataclass(frozen=True, slots=True)
class Arrivals:
    """How many of the backward passes reached each parameter, in stretches of equal length; no pass is left out."""

    passes: int = 0
    """The passes that are counted here, from the first of the run on."""
    width: int = 1
    """Passes of a stretch; the last one may not be full."""
    rows: Mapping[int, int] = field(default_factory=dict)
    """Per parameter that any pass reached, its row. Parameters that always came together share one."""
    counts: tuple[tuple[int, ...], ...] = ()
    """Per row and stretch, how many passes reached these parameters."""
    measured: int = 0
    """Passes of which norms were measured, or that brought nothing that could be."""
