"""How much of the run's time watching takes, and doing less of it when that is more than was allowed.

Only the measuring of norms is thinned; who received a gradient is always recorded.
"""

from __future__ import annotations

from time import perf_counter

_SETTLED = 8
"""Turns of the loop before the share is judged: the first ones read names and compile kernels."""
_THINNEST = 256


class Budget:
    """A running account of our own time. `share`: what may be taken of the run's, or None for no limit."""

    def __init__(self, share: float | None = None) -> None:
        self.share = share
        self.thinning = 1
        """Norms are measured at every n-th pass that is due."""
        self.total = 0.0
        self._since: float | None = None
        self._own = 0.0
        self._turns = 0

    def spent(self, seconds: float) -> None:
        """We took this long."""
        self._own += seconds
        self.total += seconds

    @property
    def roomy(self) -> bool:
        """Whether there is time for more than the norms."""
        return self.thinning == 1

    def turn(self) -> None:
        """A turn of the loop is over: every few of them, compare."""
        self._turns += 1
        if self._turns % _SETTLED:
            return
        now = perf_counter()
        if self.share is not None and self._since is not None:
            used = self._own / max(now - self._since, 1e-9)
            if used > self.share and self.thinning < _THINNEST:
                self.thinning *= 2
            elif used < self.share / 4 and self.thinning > 1:
                self.thinning //= 2
        self._since, self._own = now, 0.0

    def note(self) -> str:
        """What was given up for the budget, in words; empty if nothing was asked for."""
        if self.share is None:
            return ""
        seen = "every backward pass" if self.thinning == 1 else f"every {self.thinning}th backward pass"
        return f"gradscope took {self.total:.2f} s; to stay within {self.share:.1%} norms are measured at {seen}"
