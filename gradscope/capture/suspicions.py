"""What looks wrong enough to trace one step for it; each thing once."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from gradscope.capture.events import ZERO, Log, StepKind
from gradscope.records.columns import Column

ZEROS = 3
"""Passes in a row that deliver only zeros: zero-initialised gates and LoRA need up to two to wake."""
TINY, HUGE = 1e-7, 1e3
"""rms of a gradient beyond which GS401 and GS402 may have something to say."""
MOST = 8
"""Steps that are traced on suspicion in one run."""


@dataclass(eq=False)
class Suspicions:
    """What was seen and has not been traced yet."""

    traced: int = 0
    taken: frozenset[int] = frozenset()
    """Parameters for which a step was traced last."""
    _told: set[tuple[str, int]] = field(default_factory=set)
    _fresh: set[tuple[str, int]] = field(default_factory=set)
    _judged: set[StepKind] = field(default_factory=set)
    _turned: bool = False

    def arrived(self, log: Log, norms: Column) -> None:
        """A pass delivered gradients."""
        if norms.row and min(norms.row) < ZERO:
            for uid, norm in norms.items():
                if norm is not None and norm < ZERO and log.count(uid).zero_streak >= ZEROS:
                    self._suspect("zero", uid)
        if not norms.finite:
            for uid, norm in norms.items():
                if norm is not None and not math.isfinite(norm):
                    self._suspect("nonfinite", uid)

    def stepped(self, log: Log, kind: StepKind) -> None:
        """An optimizer stepped: what it holds and what required a gradient should have had one."""
        if kind in self._judged:
            return
        if len(self._judged) > 256:
            self._judged.clear()
        self._judged.add(kind)
        for uid in kind.trainable - kind.present:
            if log.count(uid).steps_none == log.count(uid).steps:
                self._suspect("none", uid)
        for uid in set(kind.held) - kind.trainable - kind.present:
            self._suspect("frozen", uid)

    def turned(self, log: Log, trainable: Iterable[int]) -> None:
        """A marked turn is over, and no optimizer is known: each of these should have had a gradient. Asked once."""
        if self._turned or not log.backwards:
            return
        self._turned = True
        for uid in trainable:
            if not log.count(uid).backwards:
                self._suspect("none", uid)

    def applied(self, uid: int, norm: float, numel: int, *, delivered: int) -> None:
        """A gradient of this norm was applied; asked at the steps whose updates are sampled.

        `delivered`: how many backward passes ever brought one. Zeros that none brought are no gradient.
        """
        rms = norm / max(numel, 1) ** 0.5
        if 0.0 < rms < TINY or HUGE < rms < math.inf:
            self._suspect("size", uid)
        elif norm == 0.0 and not delivered:
            self._suspect("none", uid)

    def _suspect(self, what: str, uid: int) -> None:
        if (what, uid) not in self._told:
            self._fresh.add((what, uid))

    def take(self) -> bool:
        """Whether the next step should be traced; what it is traced for is not asked again."""
        if not self._fresh or self.traced >= MOST:
            return False
        self.taken = frozenset(uid for _, uid in self._fresh)
        self.dismiss()
        self.traced += 1
        return True

    def dismiss(self) -> None:
        """What was seen so far has been traced."""
        self._told |= self._fresh
        self._fresh.clear()
