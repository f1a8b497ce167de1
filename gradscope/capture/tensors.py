"""Small questions about tensors, asked without disturbing them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

_NUMBERS = (int, float, str)
_INDICES = 8
"""Items of a list that are looked at to tell that it holds numbers only: more than a tensor has dimensions."""


def tensors_in(items: Any) -> Iterator[torch.Tensor]:
    """All tensors in nested lists, tuples, dicts and the bounds of slices; lists of numbers are not searched."""
    for item in items.values() if isinstance(items, dict) else items:
        if isinstance(item, torch.Tensor):
            yield item
        elif isinstance(item, (list, tuple)):
            if item and not (isinstance(item[0], _NUMBERS) and all(isinstance(i, _NUMBERS) for i in item[:_INDICES])):
                yield from tensors_in(item)
        elif isinstance(item, dict):
            yield from tensors_in(item)
        elif isinstance(item, slice):
            yield from tensors_in((item.start, item.stop, item.step))


def has_float(items: Any) -> bool:
    for item in items:
        if type(item) is float:
            return True
        if isinstance(item, (list, tuple)) and item and has_float(item[:64]):
            return True
        if type(item).__module__ == "numpy":
            return True
    return False


def has_position(items: Any) -> bool:
    """Whether an index holds an integer, which may have come out of a tensor."""
    for item in items:
        if type(item) is int:
            return True
        if isinstance(item, slice) and has_position((item.start, item.stop)):
            return True
        if isinstance(item, tuple) and has_position(item[:8]):
            return True
    return False


def size(tensor: torch.Tensor) -> float:
    """Largest absolute value of a floating tensor; NaN or Inf if it holds one. One reduction."""
    if not tensor.is_floating_point() or tensor.numel() == 0 or tensor.device.type == "meta":
        return 0.0
    if type(tensor) not in (torch.Tensor, nn.Parameter) or tensor.layout is not torch.strided or has_no_memory(tensor):
        return 0.0
    if tensor.is_nested:
        parts = [size(part) for part in tensor.detach().unbind()]
        return next((part for part in parts if part != part), max(parts, default=0.0))
    return float(tensor.detach().abs().max())


def has_no_memory(tensor: torch.Tensor) -> bool:
    """Whether a tensor is a wrapper of torch.func, or stands inside one: it has no values to read."""
    if torch._C._functorch.is_functorch_wrapped_tensor(tensor):
        return True
    return torch._C._functorch.peek_interpreter_stack() is not None


def only_described() -> bool:
    """Whether torch writes a program down instead of computing (jit.trace, export, make_fx, FakeTensorMode).

    What operations return then has no values, and looking at it would become part of the program.
    """
    if torch._C._get_tracing_state() is not None:
        return True
    return torch._C._len_torch_dispatch_stack() > 0 and any(_mode(key) is not None for key in _DESCRIBING)


_mode = torch._C._get_dispatch_mode
_DESCRIBING = (torch._C._TorchDispatchModeKey.FAKE, torch._C._TorchDispatchModeKey.PROXY)


def made_by_autograd(tensor: torch.Tensor) -> bool:
    """Whether a tensor has a node. Asking for the node itself would wrap it: see `undertaker`."""
    try:
        return not tensor.is_leaf
    except RuntimeError:
        return False


def grad_fn(tensor: torch.Tensor) -> Any:
    """The node that made a tensor; None where torch refuses to say (a view whose base was written to)."""
    try:
        return tensor.grad_fn
    except RuntimeError:
        return None


def pointer(tensor: torch.Tensor) -> int:
    try:
        return tensor.data_ptr()
    except (RuntimeError, ValueError):
        return 0


def storage_pointer(tensor: torch.Tensor) -> int:
    try:
        return tensor.untyped_storage().data_ptr()
    except (RuntimeError, NotImplementedError, ValueError):
        return 0


def sequence() -> int:
    return torch.autograd._get_sequence_nr()  # type: ignore[attr-defined]
