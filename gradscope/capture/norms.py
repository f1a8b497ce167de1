"""Norms of many tensors in one pass, and the second look that tells a true zero from an underflow."""

from __future__ import annotations

from collections.abc import Sequence

import torch


def norms(tensors: Sequence[torch.Tensor]) -> list[float]:
    """The 2-norm of each tensor, from one fused pass per device and dtype and one transfer.

    Squares of float32 values below about 1e-23 underflow: a norm of exactly 0.0 is checked again by its
    largest absolute value before it is believed.
    """
    if not tensors:
        return []
    flat = [_dense(tensor) for tensor in tensors]
    found = torch._foreach_norm(flat) if len({(t.device, t.dtype) for t in flat}) == 1 else _one_by_one(flat)
    values: list[float] = torch.stack([n.float() for n in found]).tolist()
    for index, value in enumerate(values):
        if value == 0.0 and flat[index].numel():
            values[index] = float(flat[index].abs().max())
        elif value == float("inf"):
            values[index] = float(flat[index].double().norm())
    return values


def _one_by_one(flat: list[torch.Tensor]) -> list[torch.Tensor]:
    device = flat[0].device
    return [torch.linalg.vector_norm(t).to(device=device, dtype=torch.float32) for t in flat]


def _dense(tensor: torch.Tensor) -> torch.Tensor:
    """A plain strided tensor with the same norm; of a sharded one, this rank's part."""
    tensor = tensor.detach()
    local = getattr(tensor, "_local_tensor", None)
    if local is not None:
        tensor = local
    if tensor.layout is torch.sparse_coo:
        tensor = tensor.coalesce().values()
    if tensor.is_complex():
        tensor = torch.view_as_real(tensor)
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor
