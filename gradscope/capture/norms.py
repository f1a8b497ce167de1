"""Norms of many tensors in one fused pass, without waiting for the device that computes them.

* On the CPU the numbers are there at once. On any other device they stay there, and are fetched in one
  transfer when they are asked for: one backward pass later, when nobody has to wait for them any more.
* A call costs a CPU core about a microsecond per tensor, of whatever size. Small tensors of one shape are laid side by
  side, which takes a tenth of that: of 3,000 parameters of 64 this is faster than `torch._foreach_norm` alone.
* Squares of float32 values below about 1e-23 underflow: a norm of exactly 0.0 is believed where all values are zero,
  else computed again in double precision, like one that overflows. On a device that is done at the next pass.
* Measuring must not be seen: no autograd, no modes of the user's, no change of dtype defaults.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from operator import attrgetter

import torch
from torch.utils._python_dispatch import _disable_current_modes

_HALF = (torch.float16, torch.bfloat16)
_INF = float("inf")
SMALL = 1024
"""Elements of a tensor up to which copying it costs less than measuring it alone (benchmarks/README.md)."""
MANY, SIDE_BY_SIDE = 4, 4096
"""Tensors of one shape that are laid side by side at least, and at most: 16 MB of float32."""


@contextmanager
def unseen() -> Iterator[None]:
    """Run torch operations that neither autograd nor any mode or hook of the user's sees."""
    if not torch._C._len_torch_dispatch_stack() and not torch.is_inference_mode_enabled():
        with torch._C.DisableTorchFunction(), torch.no_grad():
            yield
        return
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

    __slots__ = ("_order", "_parts", "ready")

    def __init__(self, tensors: Sequence[torch.Tensor], plan: Plan | None = None, *, wait: bool = True) -> None:
        self._parts: list[tuple[list[int], torch.Tensor | list[float]]] = []
        self._order = len(tensors)
        self.ready = True
        with unseen():
            if plan is not None and plan.fits(tensors):
                with suppress(RuntimeError, NotImplementedError, TypeError):  # of another layout or device by now
                    self._measure(tensors, plan.batches, wait=wait)
                    return
            plain = list(tensors) if _all_plain(tensors) else [_dense(tensor) for tensor in tensors]
            self._parts.clear()
            self._measure(plain, _batches(plain), wait=wait)

    def _measure(self, tensors: Sequence[torch.Tensor], batches: list[Batch], *, wait: bool) -> None:
        parts: list[tuple[list[int], list[float]]] = []
        late: dict[tuple[object, ...], tuple[list[int], list[torch.Tensor]]] = {}
        for places, together in batches:
            same = [tensors[place] for place in places]
            found = _together(same) if together else fused(same)
            if wait:
                parts.append((places, _look_again(_numbers(found), same)))
                continue
            found = found if isinstance(found, torch.Tensor) else torch.stack(tuple(found))
            where, there = late.setdefault((found.device, found.dtype), ([], []))
            where += places
            there.append(found)
        # what is on one device is fetched in one transfer
        self._parts = [*parts, *((where, torch.cat(there)) for where, there in late.values())]
        self.ready = wait

    def values(self) -> list[float | None]:
        """The norms in the order of the tensors; None where a zero could not be told from an underflow."""
        answer: list[float | None] = [None] * self._order
        for places, found in self._parts:
            late = isinstance(found, torch.Tensor)
            if isinstance(found, torch.Tensor):
                with unseen():
                    numbers = found.tolist()
            else:
                numbers = found
            if len(self._parts) == 1 and places == list(range(self._order)) and not (late and 0.0 in numbers):
                return list(numbers)
            for place, number in zip(places, numbers, strict=True):
                answer[place] = None if late and number == 0.0 else number
        return answer


def norms(tensors: Sequence[torch.Tensor]) -> list[float]:
    """The 2-norm of each tensor, now."""
    return [0.0 if value is None else value for value in Measured(tensors).values()] if tensors else []


def numberless(tensors: Sequence[torch.Tensor]) -> bool:
    """Whether some are shapes without numbers: on the meta device, or fake tensors, by which torch plans memory."""
    return any(map(_is_meta, tensors)) or "FakeTensor" in {kind.__name__ for kind in set(map(type, tensors))}


_PLAIN = {torch.Tensor, torch.nn.Parameter}
_dtype, _layout, _is_meta = attrgetter("dtype"), attrgetter("layout"), attrgetter("is_meta")
Batch = tuple[list[int], bool]
"""Places of tensors in ascending order, and whether they are laid side by side."""


class Plan:
    """How the gradients of the same parameters are measured, worked out once."""

    __slots__ = ("_dtypes", "batches")

    def __init__(self, tensors: Sequence[torch.Tensor]) -> None:
        self._dtypes = set(map(_dtype, tensors))
        self.batches = _batches(tensors) if _all_plain(tensors) and len(self._dtypes) == 1 else []

    def fits(self, tensors: Sequence[torch.Tensor]) -> bool:
        """Whether nothing changed that can change, but for the layout and the device."""
        return bool(self.batches) and set(map(type, tensors)) <= _PLAIN and set(map(_dtype, tensors)) == self._dtypes


def _all_plain(tensors: Sequence[torch.Tensor]) -> bool:
    return set(map(type, tensors)) <= _PLAIN and set(map(_layout, tensors)) <= {torch.strided}


def _batches(tensors: Sequence[torch.Tensor]) -> list[Batch]:
    """Tensors of one device and dtype are measured in one call, many small ones of one shape laid side by side."""
    shapes: dict[tuple[object, ...], list[int]] = {}
    for place, tensor in enumerate(tensors):
        small = tensor.dim() > 0 and 0 < tensor.numel() <= SMALL
        shapes.setdefault((tensor.device, tensor.dtype, tuple(tensor.shape) if small else None), []).append(place)
    batches: list[Batch] = []
    rest: dict[tuple[object, ...], list[int]] = {}
    for (device, dtype, shape), places in shapes.items():
        if shape is None or len(places) < MANY:
            rest.setdefault((device, dtype), []).extend(places)
            continue
        batches += [(places[at : at + SIDE_BY_SIDE], True) for at in range(0, len(places), SIDE_BY_SIDE)]
    return batches + [(sorted(places), False) for places in rest.values()]


def _together(tensors: list[torch.Tensor]) -> torch.Tensor:
    """Norms of tensors of one shape, as the rows of one."""
    rows = torch.cat(tensors).view(len(tensors), -1)
    found: torch.Tensor = torch.linalg.vector_norm(rows, dim=1, dtype=torch.float32 if rows.dtype in _HALF else None)
    return found


def fused(tensors: list[torch.Tensor]) -> Sequence[torch.Tensor]:
    """Norms of tensors of one device and dtype; a half is summed up in float32."""
    if tensors[0].dtype in _HALF:
        return torch._foreach_norm(tensors, 2, torch.float32)
    return torch._foreach_norm(tensors)


def _numbers(found: torch.Tensor | Sequence[torch.Tensor]) -> list[float]:
    """Wait for norms and read them."""
    if not isinstance(found, torch.Tensor):
        if found[0].device.type == "cpu":
            return [number.item() for number in found]
        found = torch.stack(tuple(found))
    numbers: list[float] = found.tolist()
    return numbers


def _look_again(numbers: list[float], tensors: list[torch.Tensor]) -> list[float]:
    """Replace zeros that may be underflows and infinities that may be overflows."""
    if 0.0 not in numbers and _INF not in numbers:
        return numbers
    for index, (value, tensor) in enumerate(zip(numbers, tensors, strict=True)):
        if value == _INF or (value == 0.0 and bool(tensor.any())):
            numbers[index] = precise(tensor).item()
    return numbers


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
