"""When a turn of the user's loop is over, which nobody needs to say.

* An optimizer steps for the second time, or the backward line that began this turn runs again after one has stepped;
  not if it now runs for another optimizer, as in a loop over critics.
* Where no optimizer is known, a loop updates by hand: the same line runs again after gradients were cleared, or
  values written.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

from gradscope.capture.budget import Budget
from gradscope.capture.events import Log
from gradscope.errors import StopRun
from gradscope.records import Path

_CAUGHT = (
    "gradscope: as many steps were made as were asked for, but the script caught the StopRun that ends it and goes on; "
    "each further pass is ended as well. Catch `Exception` instead of everything, or let StopRun pass."
)


class Loop:
    """Counts the steps of a log, up to `limit`."""

    def __init__(self, log: Log, budget: Budget, limit: int | None) -> None:
        self._log = log
        self._budget = budget
        self._limit = limit
        self.explicit = False
        """The user says when a step is over."""
        self.whole = False
        """... and nothing of the turn lies outside of the steps so marked."""
        self.on_step: list[Callable[[int], None]] = []
        self.done: set[int] = set()
        """Optimizers that stepped in this turn."""
        self._first: Path = ()
        """The backward line that began this turn."""
        self._stops = 0
        self._passes = 0
        """Backward passes before this turn."""

    def steps(self, optimizer: int) -> None:
        """An optimizer is about to step."""
        if optimizer in self.done and not self.explicit:
            self.turn()
        self.stop_at_limit()

    def stepped(self, optimizer: int) -> None:
        """An optimizer has stepped."""
        self.done.add(optimizer)

    def backward(self, path: Path, *, by_hand: bool, waited_for: Callable[[set[int]], bool]) -> None:
        """A pass at a line. `by_hand`: there is no optimizer, and something was cleared or written since the last.

        `waited_for` says whether it is for optimizers that have not stepped in this turn, and for none of those that
        have.
        """
        again = path == self._first and not self.explicit
        if again and self.done and waited_for(self.done):
            return
        if again and (self.done or (by_hand and self._log.backwards > self._passes)):
            self.turn()
        if not self._first:
            self._first = path

    def turn(self) -> None:
        """A turn of the loop is over."""
        self.done.clear()
        self._first = ()
        self._passes = self._log.backwards
        step = self._log.step
        self._log.step += 1
        self._budget.turn()
        for callback in self.on_step:
            callback(step)

    @property
    def full(self) -> bool:
        """As many steps were made as were asked for."""
        return self._limit is not None and self._log.step >= self._limit

    def stop_at_limit(self) -> None:
        """Raise StopRun when as many steps were made as were asked for."""
        if not self.full:
            return
        self._stops += 1
        if self._stops == 2:
            warnings.warn(_CAUGHT, RuntimeWarning, stacklevel=2)
        raise StopRun
