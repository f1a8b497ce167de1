"""Margins: whether a ReLU or clamp that lets nothing through is the hinge of a loss, which is satisfied.

A hinge compares a score with a margin or with another score, and what it returns is minimised: after it come only
sums, means and weights, no parameter of a network and no target. A ReLU that ends a network is neither.
"""

from __future__ import annotations

from collections import deque

from gradscope.capture.backward import GraphWalk
from gradscope.capture.tape import Op, Tape, Value
from gradscope.capture.ways import VIEWS
from gradscope.capture.zero_causes import base_name

SUBTRACTIONS = {"sub", "__sub__", "__rsub__", "rsub", "sub_", "__isub__", "subtract"}
_SUMS = {"add", "__add__", "__radd__", "add_", "__iadd__"}
_SCALES = {"mul", "__mul__", "__rmul__", "div", "__truediv__", "neg", "__neg__", "__getitem__"}
_FLOORS = {"max", "maximum"}
_LOSS_ARITHMETIC = {
    "Mean", "Sum", "Add", "Sub", "Mul", "Div", "Neg", "Stack", "Cat", "Unsqueeze", "Squeeze", "View", "Reshape",
    "ToCopy", "Pow", "Select", "Index", "Rsub", "MaskedSelect", "Expand", "UnsafeView", "Alias", "Unbind", "Max",
    "Amax", "Permute", "Transpose", "T", "Clone", "Slice", "Where", "MaskedFill", "Maximum", "Sqrt", "Dot",
}  # fmt: skip
_DEPTH = 8
MARGIN_LOSSES = (
    "cosine_embedding_loss", "hinge_embedding_loss", "margin_ranking_loss", "triplet_margin_loss", "multi_margin_loss",
    "triplet_margin_with_distance_loss", "multilabel_margin_loss",
)  # fmt: skip
"""Torch functions made of several nodes, of which any may be the flat one."""


class Margins:
    """Asks the tape about hinges."""

    def __init__(self, tape: Tape) -> None:
        self.tape = tape

    def hinge(self, graph: GraphWalk, op: int) -> bool:
        """Whether a ReLU compares with a margin and belongs to the loss."""
        inputs = self.tape.ops[op].inputs if op >= 0 else ()
        if not any(self._compares(v, 0) for v, requires in inputs if requires):
            return False
        number = next((n for n, s in enumerate(graph.steps) if self.tape.op_of_node(s.sequence) == op), -1)
        return number >= 0 and self.near_loss(graph, number)

    def floor(self, op: int) -> bool:
        """Whether it is max(0, x): the larger of what was computed and a constant."""
        made = self.tape.ops[op] if op >= 0 else None
        if made is None or made.name not in _FLOORS or len(made.inputs) != 2:
            return False
        constants = [self.tape.values[v] for v, requires in made.inputs if not requires]
        return len(constants) == 1 and (constants[0].numel == 1 or constants[0].size == 0.0)

    def near_loss(self, graph: GraphWalk, number: int) -> bool:
        """Only reductions and sums of losses lie between a node and the loss: no weights and no target."""
        own = self.tape.op_of_node(graph.steps[number].sequence)
        todo, seen = deque([number]), {number}
        while todo:
            at = todo.popleft()
            for consumer, _ in graph.consumers[at]:
                if consumer in seen:
                    continue
                seen.add(consumer)
                step = graph.steps[consumer]
                op = self.tape.op_of_node(step.sequence)
                if base_name(step.name) not in _LOSS_ARITHMETIC or (
                    op not in (-1, own) and self._consumes(self.tape.ops[op])
                ):
                    return False
                todo.append(consumer)
        return True

    def _consumes(self, op: Op) -> bool:
        """Whether it applies weights, or compares what it is given with data, as a loss does with a prediction."""
        if op.name.endswith("_loss") or self._weights(op):
            return True
        others = (self.tape.values[v] for v, requires in op.inputs if not requires)
        return op.name in SUBTRACTIONS and any(data.floating and data.numel > 1 for data in others)

    def _weights(self, op: Op) -> bool:
        """Whether a parameter takes part; a single number may be a learned margin, or the weight of a loss."""
        return any(self.tape.values[v].param >= 0 and self.tape.values[v].numel > 1 for v, _ in op.inputs)

    def _compares(self, value: int, depth: int) -> bool:
        """Whether a value is the difference of two scores, or of a score and a constant."""
        made: Value = self.tape.values[value]
        op = self.tape.ops[made.op] if made.op >= 0 else None
        if op is None or depth > _DEPTH or self._weights(op):
            return False
        scores = [v for v, requires in op.inputs if requires]
        if op.name in SUBTRACTIONS or (op.name in _SUMS and len(scores) == 1):
            return True
        passes = op.name in _SUMS or op.name in _SCALES or op.name in VIEWS
        return passes and any(self._compares(v, depth + 1) for v in scores)
