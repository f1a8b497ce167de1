"""Master weights: copies that an optimizer steps in place of the parameters, with gradients carried over by hand."""

from __future__ import annotations

from gradscope.records import Optimizer, Parameter, Run


def steps_copies(run: Run, optimizer: Optimizer, parameter: Parameter) -> bool:
    """Whether it holds tensors of no model, one of this shape among them, whose gradients are carried there by hand."""
    held = [run.parameters[u] for u in optimizer.parameters]
    by_hand = fed_by_hand(run).issuperset(optimizer.parameters)
    return by_hand and not any(p.owners for p in held) and parameter.shape in {p.shape for p in held}


def fed_by_hand(run: Run) -> set[int]:
    """Parameters whose optimizer applied gradients that no backward pass delivered to them."""
    return {u for u, count in run.tallies.items() if not count.backwards and count.steps > count.steps_none}
