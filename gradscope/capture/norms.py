"""Norms of many tensors in one fused pass, without waiting for the device that computes them.

* On the CPU the numbers are there at once. On any other device they stay there, and are fetched in one
  transfer when they are asked for: one backward pass later, when nobody has to wait for them any more.
* Squares of float32 values below about 1e-23 underflow: a norm of exactly 0.0 is believed where all values are zero,
  else computed again in double precision, like one that overflows. On a device that is done at the next pass.
* Measuring must not be seen: no autograd, no modes of the user's, no change of dtype defaults.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import torch
from torch.utils._python_dispatch import _disable_current_modes

_HALF = (torch.float16, torch.bfloat16)
_INF = float("inf")


@contextmanager
def unseen() -> Iterator[None]:
    """Run torch operations that neither autograd nor any mode or hook of the user's sees."""
    with ExitStack() as stack:
        stack.enter_context(torch._C.DisableTorchFunction())
        if torch._C._len_torch_dispatch_stack():
            stack.enter_context(_disable_current_modes())
        if torch.is_inference_mode_enabled():
            stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.no_grad())
        yield


class Measured:
    """Norms that were asked for; `values()` fetches them."""

    __slots__ = ("_order", "_parts", "_sizes", "ready")

    def __init__(self, tensors: Sequence[torch.Tensor], *, wait: bool = True) -> None:
        self._parts: list[tuple[list[int], torch.Tensor | list[torch.Tensor]]] = []
        self._order = len(tensors)
        self.ready = True
        with unseen():
            for places, same in _alike(tensors):
                found = list(fused(same))
                if wait and found[0].device.type == "cpu":
                    self._parts.append((places, _look_again(found, same)))
                elif wait:
                    self._parts.append((places, _look_again(list(torch.stack(found).cpu().unbind()), same)))
                else:
                    self.ready = False
                    self._parts.append((places, torch.stack(found)))

    def values(self) -> list[float | None]:
        """The norms in the order of the tensors; None where a zero could not be told from an underflow."""
        answer: list[float | None] = [None] * self._order
        with unseen():
            for places, found in self._parts:
                late = isinstance(found, torch.Tensor)
                numbers = found.tolist() if isinstance(found, torch.Tensor) else [n.item() for n in found]
                for place, number in zip(places, numbers, strict=True):
                    answer[place] = None if late and number == 0.0 else number
        return answer


def norms(tensors: Sequence[torch.Tensor]) -> list[float]:
    """The 2-norm of each tensor, now."""
    return [0.0 if value is None else value for value in Measured(tensors).values()] if tensors else []


def _alike(tensors: Sequence[torch.Tensor]) -> list[tuple[list[int], list[torch.Tensor]]]:
    """Group tensors that one fused call takes, each made plain."""
    groups: dict[tuple[torch.device, torch.dtype], tuple[list[int], list[torch.Tensor]]] = {}
    if {type(t) for t in tensors} <= {torch.Tensor, torch.nn.Parameter} and all(
        t.layout is torch.strided for t in tensors
    ):
        kinds = {(t.device, t.dtype) for t in tensors}
        if len(kinds) == 1:
            return [(list(range(len(tensors))), list(tensors))]
        plain = list(tensors)
    else:
        plain = [_dense(tensor) for tensor in tensors]
    for place, tensor in enumerate(plain):
        places, same = groups.setdefault((tensor.device, tensor.dtype), ([], []))
        places.append(place)
        same.append(tensor)
    return list(groups.values())


def fused(tensors: list[torch.Tensor]) -> Sequence[torch.Tensor]:
    """Norms of tensors of one device and dtype; a half is summed up in float32."""
    if tensors[0].dtype in _HALF:
        return torch._foreach_norm(tensors, 2, torch.float32)
    return torch._foreach_norm(tensors)


def _look_again(found: list[torch.Tensor], tensors: list[torch.Tensor]) -> list[torch.Tensor]:
    """Replace zeros that are underflows and infinities that may be overflows."""
    for index, value in enumerate([n.item() for n in found]):
        tensor = tensors[index]
        if value == _INF or (value == 0.0 and bool(tensor.any())):
            found[index] = precise(tensor)
    return found


def precise(tensor: torch.Tensor) -> torch.Tensor:
    """The 2-norm with squares in double precision; the largest absolute value where the device has none."""
    if tensor.device.type == "mps":
        return tensor.abs().max()
    wide = torch.complex128 if tensor.is_complex() else torch.float64
    norm: torch.Tensor = torch.linalg.vector_norm(tensor.to(wide))
    return norm


def _dense(tensor: torch.Tensor) -> torch.Tensor:
    """A plain strided tensor with the same norm; of a sharded one, this rank's part."""
    local = getattr(tensor, "_local_tensor", None)
    if local is not None:
        tensor = local
    if tensor.layout is torch.sparse_coo:
        tensor = tensor.coalesce().values()
    elif tensor.layout is not torch.strided:
        tensor = tensor.values() if hasattr(tensor, "values") else tensor.to_dense()
    return tensor


def all_finite(values: Sequence[float | None]) -> bool:
    """Whether no norm is NaN or Inf; a sum that overflows counts as not."""
    try:
        return math.isfinite(math.fsum(values))  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return all(value is None or math.isfinite(value) for value in values)
