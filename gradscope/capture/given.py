"""What a user gave as a model that is no module: a tensor, or several, with or without names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from gradscope.errors import NotTrainableError

Tensors = torch.Tensor | Sequence[torch.Tensor] | Sequence[tuple[str, torch.Tensor]] | Mapping[str, torch.Tensor]


def tensors_of(name: str, given: object) -> tuple[tuple[str, torch.Tensor], ...]:
    """What a model that is no module consists of. Raises NotTrainableError if that is anything but tensors."""
    if isinstance(given, torch.Tensor):
        given = [("", given)]
    elif isinstance(given, Mapping):
        given = list(given.items())
    if not isinstance(given, Iterable) or isinstance(given, str):
        what = type(given).__name__
        raise NotTrainableError(f"{name!r} is no model but of type {what}: pass an nn.Module, or a list of tensors")
    found = tuple(_named(given))
    if any(isinstance(item, nn.Module) for _, item in found):
        raise NotTrainableError(f"{name!r} holds several modules: give each its own name, or pass an nn.ModuleList")
    if not found or not all(isinstance(item, torch.Tensor) for _, item in found):
        raise NotTrainableError(f"{name!r} is neither a module nor a list of tensors: pass an nn.Module")
    if not all(tensor.is_leaf for _, tensor in found):
        raise NotTrainableError(
            f"{name!r} holds a tensor that was computed from others, and backward() leaves its gradient with those: "
            "watch them, or make it a leaf with .detach().requires_grad_()"
        )
    return found


def _named(tensors: Iterable[Any]) -> Iterable[tuple[str, torch.Tensor]]:
    for index, item in enumerate(tensors):
        yield item if isinstance(item, tuple) else (str(index), item)
