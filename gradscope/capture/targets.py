"""Targets: gradients that were stopped on purpose, because the value is what another value is to come close to.

A loss compares a prediction with a target. Where both were computed from one parameter and both lost its gradient,
the way of the prediction is the broken one: a target is meant to have none (TD targets, teachers, old policies).
So is any other way on which it is no target: what an actor does is part of what a critic is to come close to, and is
judged by that critic, too.
"""

from __future__ import annotations

from collections.abc import Set

from gradscope.capture.margins import SUBTRACTIONS
from gradscope.capture.tape import Tape

MEANT = ("no_grad", "inference_mode", "detach", "data")
"""How people stop the gradient of a target."""
_COMPARES = SUBTRACTIONS | {
    "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "binary_cross_entropy", "cross_entropy", "kl_div",
    "binary_cross_entropy_with_logits", "cosine_similarity", "pairwise_distance", "dist", "cdist",
}  # fmt: skip
_WEIGHS, _LOGS = {"mul", "__mul__", "__rmul__", "mul_"}, {"log_softmax", "logsigmoid", "log", "log_"}
SIZES = {"pow", "__pow__", "pow_", "square", "square_", "abs", "__abs__", "abs_", "norm", "vector_norm", "linalg_norm"}
_MOST = 20_000


class Targets:
    """Answers for one tape."""

    def __init__(self, tape: Tape, down: list[list[tuple[int, bool]]], on_the_way: Set[int]) -> None:
        self._tape = tape
        self._down = down
        self._distance = on_the_way
        self._behind: dict[int, frozenset[int]] = {}
        self._ends: dict[int, bool] = {}

    def aims_at(self, start: int, rivals: Set[int]) -> bool:
        """Whether a value without gradient is only ever compared with what was computed from one of the rivals."""
        meetings = self._meetings(start)
        return bool(meetings) and all(self._compared(meeting, rivals) for meeting in meetings)

    def is_one(self, start: int) -> bool:
        """Whether a value without gradient is only ever what others are measured against."""
        if start not in self._ends:
            meetings = self._meetings(start)
            self._ends[start] = bool(meetings) and all(map(self._measures, meetings))
        return self._ends[start]

    def _measures(self, meeting: int) -> bool:
        """Whether a value is how far off something is."""
        value = self._tape.values[meeting]
        name = self._tape.ops[value.op].name if value.op >= 0 else ""
        return name in _COMPARES and (name not in SUBTRACTIONS or self._is_measured(meeting))

    def _meetings(self, start: int) -> list[int]:
        """The values with a gradient that are computed first from one without."""
        found: list[int] = []
        todo, seen = [start], {start}
        while todo and len(seen) < _MOST:
            for child, _ in self._down[todo.pop()]:
                if child in seen or child not in self._distance:
                    continue
                seen.add(child)
                (found if self._tape.values[child].requires else todo).append(child)
        return found

    def _compared(self, meeting: int, rivals: Set[int]) -> bool:
        value = self._tape.values[meeting]
        if value.op < 0 or not (self._tape.ops[value.op].name in _COMPARES or self._weighs_logs(meeting)):
            return False
        if value.numel == 1 and self._tape.ops[value.op].name in SUBTRACTIONS and not self._is_measured(meeting):
            return False
        return not rivals.isdisjoint(self._predictions(meeting))

    def _weighs_logs(self, meeting: int) -> bool:
        """Whether log-probabilities are weighted: a cross-entropy with soft targets, written by hand."""
        value = self._tape.values[meeting]
        makers = [self._tape.values[parent].op for parent, live in value.parents if live]
        return self._tape.ops[value.op].name in _WEIGHS and any(
            op >= 0 and self._tape.ops[op].name in _LOGS for op in makers
        )

    def _is_measured(self, difference: int) -> bool:
        """Whether a scalar difference is how far off something is; otherwise it is a sum of two terms of the loss."""
        following = [self._tape.ops[op] for c, _ in self._down[difference] if (op := self._tape.values[c].op) >= 0]
        return any(op.name in SIZES or [v for v, _ in op.inputs] == [difference, difference] for op in following)

    def _predictions(self, meeting: int) -> frozenset[int]:
        """What the side of a comparison that has a gradient was computed from."""
        if meeting not in self._behind:
            values = self._tape.values
            todo = [parent for parent, live in values[meeting].parents if live]
            seen = set(todo)
            while todo and len(seen) < _MOST:
                for parent, _ in values[todo.pop()].parents:
                    if parent not in seen and values[parent].param < 0:
                        seen.add(parent)
                        todo.append(parent)
            self._behind[meeting] = frozenset(seen)
        return self._behind[meeting]
