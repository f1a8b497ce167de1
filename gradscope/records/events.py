"""What happens in a run, in the order of its clock: backward passes, optimizer steps, clearing and writing by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gradscope.records.lines import Location, Path


@dataclass(frozen=True, slots=True)
class Backward:
    """One pass of the autograd engine."""

    clock: int
    step: int
    index: int
    path: Path
    norms: Mapping[int, float | None]
    """Per parameter that received a gradient: the 2-norm of `.grad` afterwards (accumulated, scaled, unclipped)."""
    added: frozenset[int] = frozenset()
    """Parameters whose `.grad` was there already, so that this pass added to it."""
    root: int | None = None
    """Which tensor it started from, where traced: the same number twice is the same loss twice."""
    connected: frozenset[int] | None = None
    """Parameters found by walking the autograd graph from the root, where traced."""
    loss: float | None = None
    again: frozenset[int] = frozenset()
    """Earlier roots that this pass went through once more: losses contained in this one."""

    @property
    def location(self) -> Location | None:
        return self.path[-1] if self.path else None


@dataclass(frozen=True, slots=True)
class OptimizerStep:
    """One call of `optimizer.step()` that really ran."""

    clock: int
    step: int
    index: int
    optimizer: int
    path: Path
    norms: Mapping[int, float | None]
    """Per parameter with a gradient: the norm the optimizer saw (unscaled, clipped)."""
    lrs: tuple[float | None, ...] = ()
    ratios: Mapping[int, float] = field(default_factory=dict)
    """Per parameter where sampled: norm of the update over norm of the weight."""
    unchanged: frozenset[int] = frozenset()
    """Parameters with a gradient whose value was compared and is bit-identical after the step."""
    moved: frozenset[int] = frozenset()
    """Parameters without a fresh gradient whose value changed nevertheless."""
    weights: Mapping[int, float] = field(default_factory=dict)
    """Per parameter where sampled: 2-norm of the weight before the step."""
    kept: Mapping[int, float] = field(default_factory=dict)
    """Per parameter where the step before was sampled: what was left of that update now, as a share of it."""
    bound: frozenset[int] = frozenset()
    """Of those with nothing left, the ones all of whose elements are their least or largest: they may rest on it."""


@dataclass(frozen=True, slots=True)
class Clear:
    """Gradients were set to None or zero between two events. `path` is empty where only the result was seen."""

    clock: int
    step: int
    parameters: frozenset[int]
    path: Path = ()
    to_none: bool = True
    by: str = ""
    """`optimizer` or `module` for their zero_grad(), `hand` for another line of the user's; empty if not seen."""


@dataclass(frozen=True, slots=True)
class Write:
    """Something wrote to parameters or to their gradients outside autograd and the optimizer."""

    clock: int
    step: int
    parameters: frozenset[int]
    path: Path
    what: str
    """`grad` or `value`."""
    by: str
    """The operation, or the library function it ran in: `clip_grad_norm_`, `unscale_`, `copy_`, `load_state_dict`."""


Event = Backward | OptimizerStep | Clear | Write
