"""How much of the run's time watching takes, and doing less of it when that is more than was allowed.

* Only the measuring of norms and of updates is thinned; who received a gradient is always recorded.
* Half a second is free: a short run is measured at every pass, and so is a long one until that is used up.
* Norms are thinned by primes. Passes that come in turns of 2, 4 or 10 are then all measured sooner or later.
* What an update did is looked at so seldom, and takes so long then, that it has an account of its own.
"""

from __future__ import annotations

from time import perf_counter

_SETTLED, _LONG = 8, 256
"""Turns of the loop over which the share is judged: so many, or four times as many as there are between two norms."""
_STRIDES = (1, 3, 7, 13, 31, 61, 127, 251)
FREE = 0.5
"""Seconds before anything is thinned."""


class Budget:
    """A running account of our own time. `share`: what may be taken of the run's, or None for no limit."""

    def __init__(self, share: float | None = None) -> None:
        self.share = share
        self.free = FREE
        self.thinning = 1
        """Norms are measured at every n-th pass of a line, or at fewer if the user asked for fewer."""
        self.total = 0.0
        self._begun = perf_counter()
        self._since = 0.0
        self._own = 0.0
        self._aside = 0.0
        self._rests_until = 0.0
        self._turns = 0

    def spent(self, started: float) -> None:
        """We were at work since then. What others take of the machine makes the run as much longer as our part of it.

        The clock of the thread's own CPU time would need a system call, which takes longer than a hook.
        """
        seconds = perf_counter() - started
        self.total += seconds
        self._own += seconds - self._aside
        self._aside = 0.0

    def sampled(self, started: float) -> None:
        """Of what will be told as spent, this was for looking at an update."""
        seconds = perf_counter() - started
        self._aside += seconds
        if self.share is not None and self.total > self.free:
            self._rests_until = perf_counter() + 2 * seconds / self.share

    @property
    def rested(self) -> bool:
        """Whether an update may be looked at again: half of the share is for that."""
        return not self._rests_until or perf_counter() >= self._rests_until

    def due(self, number: int) -> bool:
        """Whether the n-th of what is thinned is measured."""
        return not number % self.thinning

    def turn(self) -> None:
        """A turn of the loop is over: every few of them, compare."""
        self._turns += 1
        if self.share is None or self._turns < min(max(_SETTLED, 4 * self.thinning), _LONG):
            return
        now = perf_counter()
        if self._since and self.total > self.free:
            self._adjust(self._own / max(now - self._since, 1e-9) / self.share)
        self._since, self._own, self._turns = now, 0.0, 0

    def _adjust(self, excess: float) -> None:
        """`excess`: what was used in parts of what may be."""
        if excess > 1:
            wanted = self.thinning * excess
            self.thinning = next((stride for stride in _STRIDES if stride >= wanted), _STRIDES[-1])
        elif excess < 1 / 4 and self.thinning > 1:
            self.thinning = _STRIDES[_STRIDES.index(self.thinning) - 1]

    def note(self, every: int = 1) -> str:
        """What was given up for the budget, in words; empty if no less was measured than at every so many-th pass."""
        if self.share is None or self.thinning <= every:
            return ""
        of_run = self.total / max(perf_counter() - self._begun, 1e-9)
        return (
            f"gradscope took {self.total:.2f} s, {of_run:.1%} of the run: with {self.share:.1%} as the aim, norms are"
            f" measured at every {_ordinal(self.thinning)} pass of each backward line, and who received a gradient is"
            " noted at each; watch(budget=None) measures all"
        )


def _ordinal(number: int) -> str:
    """Of one of the strides: 3rd, 7th, 31st."""
    return f"{number}{ {1: 'st', 3: 'rd'}.get(number % 10 if number % 100 != 13 else 0, 'th') }"
