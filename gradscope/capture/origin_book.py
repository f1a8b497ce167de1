"""The origins found so far: for zeros and tiny gradients the last, for NaN and huge ones the first."""

from __future__ import annotations

import math
from collections.abc import Iterable

from gradscope.capture.backward import GraphWalk
from gradscope.capture.grad_hooks import GradHooks
from gradscope.capture.nonfinite import NonfiniteFinder
from gradscope.capture.origins import Found, group
from gradscope.capture.parameters import Registry
from gradscope.capture.scales import ScaleFinder
from gradscope.capture.source import THIRD_PARTY, resolve
from gradscope.capture.steepest import told
from gradscope.capture.tape import Tape
from gradscope.capture.zeros import ZeroFinder
from gradscope.records import Backward, Origin
from gradscope.tallies import ZERO

SUMMED_STEPS = 3
"""Turns in which it is looked whether the loss is a sum: it does not change later."""
Table = dict[int, tuple[Found, int, int]]


class OriginBook:
    """Per parameter and kind: where its gradient became what it is."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.zeros: Table = {}
        self.nonfinite: Table = {}
        self._tiny: Table = {}
        self._huge: Table = {}
        self._sums: Table = {}

    def read(self, tape: Tape, graph: GraphWalk, event: Backward, root: int, hooks: GradHooks) -> None:
        """Read what a traced backward did."""
        delivered = {u: event.norms.get(u) for u in event.connected or () if u not in event.added}
        now = (event.step, event.index)
        lost: set[int] = set()
        if any(n is None or n < ZERO for n in delivered.values()) or event.added or tape.constant:
            for found in ZeroFinder(tape, self.registry, hooks).find(graph, delivered):
                self.zeros[found.uid] = (found, *now)
                lost.update([found.uid] if found.cause == "constant_output" else [])
        if any(n is not None and not math.isfinite(n) for n in event.norms.values()):
            for found in NonfiniteFinder(tape, self.registry).find(graph, dict(event.norms), root):
                self.nonfinite.setdefault(found.uid, (found, *now))
        finder = ScaleFinder(tape, self.registry, graph)
        sums = finder.sums.below() if event.step < SUMMED_STEPS else {}
        for leaf, op in sums.items():
            uid = self.registry.uid(graph.leaves[leaf])
            if uid in event.norms:
                self._sums.setdefault(uid, (Found("summed", "sum_reduction", uid, op.index, op.name, op.stack), *now))
        for found in finder.find({u: n for u, n in event.norms.items() if u not in lost}, event.loss):
            if found.kind == "exploding":
                self._huge.setdefault(found.uid, (found, *now))
            else:
                self._tiny[found.uid] = (found, *now)

    def stepped(self, found: Found, step: int, index: int) -> None:
        """The step of an optimizer made the weights NaN; the next backward pass will be the first to show it."""
        self.nonfinite.setdefault(found.uid, (found, step, index))

    def extent(self) -> tuple[int, ...]:
        """For how many parameters there is an origin, per kind."""
        return tuple(len(table) for table in (self.zeros, self.nonfinite, self._tiny, self._huge, self._sums))

    def steps(self) -> set[int]:
        """Steps in which the origins were found that belong into a picture, or whose gradients are told as tiny."""
        return {step for table in (self.nonfinite, self.zeros, self._tiny) for _, step, _ in table.values()}

    def drawn(self) -> list[Found]:
        """Origins that belong into a picture."""
        return [found for table in (self.nonfinite, self.zeros) for found, _, _ in table.values()]

    def records(self) -> tuple[Origin, ...]:
        """All origins as facts, those of several parameters that are one and the same together."""
        answer: list[Origin] = []
        for table in (self.nonfinite, self.zeros, self._huge, self._tiny, self._sums):
            for when in sorted({(step, index) for _, step, index in table.values()}):
                found = [item for item, *at in table.values() if tuple(at) == when]
                answer.extend(_record(item, self.registry, uids, *when) for item, uids in group(found))
        return tuple(answer)


def _record(found: Found, registry: Registry, uids: Iterable[int], step: int, backward: int) -> Origin:
    detail = found.detail or told(found.layers, registry, grows=found.kind == "exploding")
    return Origin(
        found.kind, found.cause, frozenset(uids), resolve(found.stack), found.name, step, backward,
        detail=detail, third_party=found.stack.inside(THIRD_PARTY),
    )  # fmt: skip
