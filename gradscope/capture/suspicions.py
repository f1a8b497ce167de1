"""What looks wrong enough to trace a step for it: each thing once, or as often as its rule wants to see it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from gradscope.capture.events import Log, StepKind
from gradscope.records.columns import Column
from gradscope.tallies import KEPT, ZERO

ZEROS = 3
"""Passes in a row that deliver only zeros: zero-initialised gates and LoRA need up to two to wake."""
TINY, HUGE = 1e-7, 1e3
"""rms of a gradient beyond which GS401 and GS402 may have something to say."""
MOST = 8
"""Steps that are traced on suspicion in one run."""
VISIBLE = 1e-3
"""Update ratio from which on a weight that has the same norm again was put back: one at right angles changes the norm
by half its square, 5e-7 of it here, and float32 resolves 6e-8."""
LAPSE, LAPSES = 5, 2
"""Steps without a gradient that came before, after which one is traced; how often in a run: experts starve, too."""
AGAIN = {"undone": 3, "double": 2}
"""So many steps GS508 and GS509 want to see before they believe it."""


@dataclass(eq=False)
class Suspicions:
    """What was seen and has not been traced yet."""

    traced: int = 0
    taken: frozenset[int] = frozenset()
    """Parameters for which a step was traced last."""
    _told: set[tuple[str, int]] = field(default_factory=set)
    _fresh: set[tuple[str, int]] = field(default_factory=set)
    _asked: Counter[tuple[str, int]] = field(default_factory=Counter)
    _weights: dict[int, tuple[float, float]] = field(default_factory=dict)
    """Norm before the last sampled step, and its update ratio."""
    _pass: Column | None = None
    _judged: set[StepKind] = field(default_factory=set)
    _turned: bool = False
    _lapsing: dict[StepKind, tuple[int, int]] = field(default_factory=dict)
    """Kinds of steps at which some that had a gradient have none: after how many it is asked again, and then."""
    _lapses: int = LAPSES

    def arrived(self, log: Log, norms: Column, added: frozenset[int] = frozenset()) -> None:
        """A pass delivered gradients, to `added` on top of those that were there."""
        if added and self._pass is not None and _doubled(self._pass, norms):
            self._suspect("double", norms.cohort.uids[0])
        self._pass = norms
        if not norms.is_measured:
            return
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
            if kind in self._lapsing:
                left, pause = self._lapsing[kind]
                self._lapsing[kind] = left - 1, pause
                if left <= 1:
                    self._lapse(log, kind, pause)
            return
        if len(self._judged) > 256:
            self._judged.clear()
        self._judged.add(kind)
        for uid in kind.trainable - kind.present:
            if log.count(uid).steps_none == log.count(uid).steps:
                self._suspect("none", uid)
            elif self._lapses:
                self._lapsing[kind] = LAPSE, LAPSE
        for uid in set(kind.held) - kind.trainable - kind.present:
            self._suspect("frozen", uid)

    def _lapse(self, log: Log, kind: StepKind, pause: int) -> None:
        """Some had a gradient before and have none now: is it so for some steps in a row? Asked ever more seldom."""
        lost = [u for u in kind.trainable - kind.present if log.count(u).none_streak >= LAPSE]
        if lost and self._lapses:
            self._lapses -= 1
            for uid in lost:
                self._suspect("lost", uid)
        self._lapsing[kind] = 2 * pause, 2 * pause
        if lost or not self._lapses:
            del self._lapsing[kind]

    def turned(self, log: Log, trainable: Iterable[int]) -> None:
        """A marked turn is over, and no optimizer is known: each of these should have had a gradient. Asked once."""
        if self._turned or not log.backwards:
            return
        self._turned = True
        for uid in trainable:
            if not log.count(uid).backwards:
                self._suspect("none", uid)

    def applied(self, uid: int, norm: float, numel: int, *, delivered: int, arrived: float | None = None) -> None:
        """A gradient of this norm was applied; asked at the steps whose updates are sampled.

        `delivered`: how many backward passes ever brought one. Zeros that none brought are no gradient. `arrived`:
        the norm that the last pass brought, if it was measured.
        """
        rms = norm / max(numel, 1) ** 0.5
        if 0.0 < rms < TINY or HUGE < rms < math.inf:
            self._suspect("size", uid)
        elif norm == 0.0 and not delivered:
            self._suspect("none", uid)
        elif norm == 0.0 and arrived:
            self._suspect("zeroed", uid)

    def weighed(self, uid: int, weight: float, ratio: float) -> None:
        """A parameter had this norm before a step that changed it by this ratio; asked at sampled steps."""
        before = self._weights.get(uid)
        if before is not None and before[0] == weight and before[1] >= VISIBLE:
            self._suspect("undone", uid)
        self._weights[uid] = weight, ratio

    def undone(self, kept: Mapping[int, float]) -> None:
        """So much of the updates of the step before is left; asked at the step after a sampled one."""
        for uid, share in kept.items():
            if share <= KEPT:
                self._suspect("undone", uid)

    def _suspect(self, what: str, uid: int) -> None:
        if (what, uid) not in self._told:
            self._fresh.add((what, uid))

    def take(self) -> bool:
        """Whether the next step should be traced."""
        if not self._fresh or self.traced >= MOST:
            return False
        self.taken = frozenset(uid for _, uid in self._fresh)
        self._asked.update(self._fresh)
        self._told |= {key for key in self._fresh if self._asked[key] >= AGAIN.get(key[0], 1)}
        self._fresh.clear()
        self.traced += 1
        return True

    def dismiss(self) -> None:
        """What was seen so far has been traced."""
        self._told |= self._fresh
        self._fresh.clear()


def _doubled(before: Column, now: Column) -> bool:
    """Whether every gradient is exactly twice what the pass before left, as if the same loss had been used again."""
    if now.cohort is not before.cohort or not now.row or not before.row:
        return False
    return all(norm == 2.0 * half for norm, half in zip(now.row, before.row, strict=True)) and any(now.row)
