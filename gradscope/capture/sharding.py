"""Split parameters: `DTensor`, of which each rank holds a part, and what `fully_shard` (FSDP2) does with them.

* `fully_shard` computes with stand-ins that it makes from the parts; whoever asks for one is told the parameter.
* It puts the gradients together itself: that it adds to one does not count as a version of it. Nor does all that is
  written to the part that is here, by clipping for one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import nn


def class_name(module: nn.Module) -> str:
    """The name of the user's class, of which `fully_shard` makes one of its own."""
    kind = type(module)
    return (kind.__bases__[-1] if is_sharded(module) and len(kind.__bases__) == 2 else kind).__name__


def is_sharded(module: nn.Module) -> bool:
    return hasattr(type(module), "_get_fsdp_state")


def standing_in(module: nn.Module) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """What `fully_shard` computes with in the place of each parameter of a module."""
    for held in _held(module):
        unsharded = getattr(held, "_unsharded_param", None)
        if unsharded is not None:
            yield unsharded, held.sharded_param


def sharded(module: nn.Module) -> Iterator[torch.Tensor]:
    """The parameters whose gradients `fully_shard` puts together, at this module itself."""
    return (held.sharded_param for held in _held(module))


def _held(module: nn.Module) -> Iterator[Any]:
    """What `fully_shard` keeps of each parameter of a module. torch has no public name for it."""
    if is_sharded(module):
        state = module._get_fsdp_state()  # type: ignore[operator]
        groups = getattr(state, "_fsdp_param_groups", None) or filter(None, [getattr(state, "_fsdp_param_group", 0)])
        for group in groups:
            yield from getattr(group, "fsdp_params", ())


def stand_ins(models: Iterable[Any]) -> dict[int, int]:
    """By id of each tensor that `fully_shard` computes with, the id of the parameter it stands in for."""
    modules = [module for model in models if isinstance(model, nn.Module) for module in model.modules()]
    return {id(unsharded): id(param) for module in modules for unsharded, param in standing_in(module)}


def parts(tensor: torch.Tensor) -> int:
    """Into how many parts a tensor is split over the ranks: 1 if it is whole, 0 if that cannot be said."""
    placements = getattr(tensor, "placements", None)
    if placements is None:
        return 1
    count = 1
    for place, size in zip(placements, tensor.device_mesh.shape, strict=True):  # type: ignore[attr-defined]
        if place.is_partial():
            return 0
        count *= size if place.is_shard() or "Shard" in type(place).__name__ else 1
    return int(count)


def hide_writes(grads: Iterable[torch.Tensor]) -> bool:
    """Whether some are split: what is written to them may not count as a new version."""
    return any(hasattr(grad, "_local_tensor") for grad in grads)
