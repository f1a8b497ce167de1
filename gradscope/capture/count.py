"""What happened to one parameter so far: a tally while it grows."""

from __future__ import annotations

import math
from dataclasses import dataclass

from gradscope.records import Tally

ZERO = 1e-18
"""A norm below this is zero: multiplied by any learning rate in use it is lost against any float32 weight."""


@dataclass(slots=True)
class Count:
    """A Tally while it grows; the fields are those of `records.Tally`."""

    backwards: int = 0
    zero: int = 0
    nonfinite: int = 0
    measured: int = 0
    first_backward: int | None = None
    last_backward: int | None = None
    first_nonfinite: int | None = None
    first_nonfinite_step: int | None = None
    zero_streak: int = 0
    steps: int = 0
    steps_none: int = 0
    none_streak: int = 0
    trainable_steps: int = 0
    stepped_nonfinite: int = 0
    compared: int = 0
    unchanged: int = 0
    norm_max: float | None = None
    norm_last: float | None = None
    ratio_last: float | None = None

    def delivered(self, backward: int, norm: float | None) -> None:
        """One backward pass left a gradient of this norm (None: not measured)."""
        self.backwards += 1
        if self.first_backward is None:
            self.first_backward = backward
        self.last_backward = backward
        if norm is None:
            return
        self.measured += 1
        self.norm_last = norm
        if not math.isfinite(norm):
            self.nonfinite += 1
            self.first_nonfinite = backward if self.first_nonfinite is None else self.first_nonfinite
            return
        self.norm_max = norm if self.norm_max is None else max(norm, self.norm_max)
        if norm < ZERO:
            self.zero += 1
            self.zero_streak += 1
        else:
            self.zero_streak = 0

    def delivered_well(self, first: int, last: int, norms: tuple[float, ...]) -> bool:
        """Many passes at once, if all their norms are finite and none is zero; otherwise nothing is counted."""
        if min(norms) < ZERO or not math.isfinite(sum(norms)):
            return False
        largest = max(norms)
        self.backwards += len(norms)
        self.measured += len(norms)
        if self.first_backward is None:
            self.first_backward = first
        self.last_backward = last
        self.norm_last = norms[-1]
        self.norm_max = largest if self.norm_max is None or largest > self.norm_max else self.norm_max
        self.zero_streak = 0
        return True

    def freeze(self) -> Tally:
        return Tally(**{name: getattr(self, name) for name in Tally.__slots__})
