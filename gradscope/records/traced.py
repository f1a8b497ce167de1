"""Facts of tracing: where gradients were cut, and where they became zero or not finite. See the package."""

from __future__ import annotations

from dataclasses import dataclass

from gradscope.records.lines import Path

FROZEN_RANK = 2400
"""Rank of a cut at a frozen parameter whose only effect is a constant term of a loss; behind every other kind."""

SAVE, LOAD = "save", "load"
"""As an operation's name: a tensor was written down (torch.save, pickle), or read again."""
WRAPPED = "Parameter"
"""As an operation's name: a parameter was made out of what others had computed."""
OVERWRITTEN = "overwritten"
"""In place of an operation's name: it wrote in place over all that the parameters had made."""
DERIVATIVE = "autograd.grad"
"""As an operation's name: the call of torch that differentiates."""
DECORATED, WRAPPER, YIELDED = "decorated", "wrapped", "yielded"
"""How gradients were off, other than by a block around it: a decorator, a call that wrapped the function, or a
generator that handed on a value out of its own block."""
ELSEWHERE = "in another thread"
"""In place of an operation's name: it is called in a thread that was not traced."""
EVALUATED = "evaluated"
"""In place of an operation's name: only what runs without gradients calls it."""
LATE = "bound late"
"""In place of an operation's name: a function made in a loop, which reads the loop's variable when it is called."""
KEPT = "kept"
"""How a cut came about: what the parameters had computed at an earlier step is used again."""
LEFT_OFF = "left off"
"""How gradients were off: a function had switched them off, and returned without switching them on again."""
CARRIED = "carried over"
"""How a cut came about: before the first backward pass, in a line that in later turns detaches what others made."""
STRAIGHT_THROUGH = "straight-through"
"""How a cut came about: y - x is detached and x added again, so that the gradient goes to x and not to y."""
MET, MET_ITSELF = "equals its target", "is its own target"
"""In place of an operation's name: a loss of exactly zero, whose target comes from elsewhere or from the prediction."""
SELECTIVE = "hook that chooses"
"""In place of an operation's name: a hook that leaves the gradient of other parameters as it is."""
MADE_OF_DATA = "computed from data"
"""In place of an operation's name: it made NaN or Inf out of data that was finite, before any model saw it."""
CAME_IN = "came in"
"""In place of an operation's name: there the user's data, which holds NaN or Inf, was given a name."""
FLOOR = "floor of a loss"
"""In place of an operation's name: a clamp with a minimum above zero, through which a term of the loss goes."""
DIFFERENCE = "difference of equals"
"""In place of an operation's name: it took from a factor what is equal to it, such as its mean along a lone axis."""
WHOLE = "divided to whole numbers"
"""In place of an operation's name: its result, a factor, is zero because whole numbers were divided."""
HANDED_IN = "handed in"
"""In place of an operation's name: the gradient that the backward pass begins with is zero."""
ZERO_INPUT = "given zeros"
"""In place of an operation's name: all that a weight is multiplied with is zero, and the operation made it so."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A place where the influence of parameters went on while their gradient did not (or ended)."""

    cause: str
    parameters: frozenset[int]
    path: Path
    op: str
    rank: int
    """Smaller is the likelier culprit among the cuts of one parameter."""
    evidence: str = "traced"
    detail: str = ""
    library: str = ""
    """`file:line` inside a library where the operation ran, if not in the user's code."""
    third_party: bool = False
    """That library is not torch: whoever wrote the architecture made this cut."""
    once: bool = False
    """It was made before the first backward pass and never again."""
    how: str = ""
    """How gradients were off, if not by a block around it; or that it is what was kept."""
    direct: frozenset[int] = frozenset()
    """Those of the parameters that were read there themselves, and not what they had made."""
    into: frozenset[int] = frozenset()
    """Parameters that values were copied into there, where that is the cause."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where in a traced backward the gradient of parameters first became zero, NaN, Inf, tiny or huge."""

    kind: str
    """`zero`, `nan`, `inf`, `vanishing` or `exploding`."""
    cause: str
    parameters: frozenset[int]
    path: Path
    op: str
    step: int
    backward: int
    evidence: str = "traced"
    detail: str = ""
    third_party: bool = False
    """The operation ran in the code of a package other than torch: the architecture is not the user's."""
