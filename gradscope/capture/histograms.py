"""Histograms of gradients by powers of two, with sign, zeros, NaN and Inf apart.

* All gradients of a backward are counted in one pass over one long tensor, so that a thousand parameters cost no
  thousand synchronisations.
* Of each parameter the first sample and the latest are kept. Small models are sampled at every backward; large ones
  at the first, second, fourth, ... so that the cost vanishes, and once more when the report is made.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import torch

from gradscope.capture.norms import numberless
from gradscope.records import Histogram

SMALL = 20_000
"""Entries counted at every backward: half a millisecond at the 20 to 60 ns an entry takes on one CPU core."""
CHUNK = 4_000_000
"""Entries counted in one go: bounds the memory this takes to about 100 MB."""


def measure(gradients: Mapping[int, torch.Tensor], step: int) -> dict[int, Histogram]:
    """Histograms of some gradients, by uid."""
    found: dict[int, Histogram] = {}
    batch: dict[int, torch.Tensor] = {}
    entries = 0
    for uid, gradient in gradients.items():
        flat = _flat(gradient)
        for piece in torch.split(flat, CHUNK) if flat is not None else ():
            device = next(iter(batch.values())).device if batch else piece.device
            if uid in batch or entries + piece.numel() > CHUNK or piece.device != device:
                _add(found, _measure(batch, step))
                batch, entries = {}, 0
            batch[uid] = piece
            entries += piece.numel()
    _add(found, _measure(batch, step))
    return found


def _flat(gradient: torch.Tensor) -> torch.Tensor | None:
    """The entries that are stored, as real numbers; None if they cannot be read."""
    gradient = getattr(gradient, "_local_tensor", gradient).detach()  # a DTensor's own detach() fails at exit
    if gradient.layout is torch.sparse_coo:
        gradient = gradient.coalesce().values()
    if gradient.layout is not torch.strided or numberless((gradient,)):
        return None
    if gradient.is_complex():
        gradient = torch.view_as_real(gradient.resolve_conj())
    flat = gradient.reshape(-1)
    return flat if flat.dtype is torch.float64 else flat.float()


def _measure(batch: Mapping[int, torch.Tensor], step: int) -> dict[int, Histogram]:
    """One pass: the bins of all parameters stand side by side, per parameter zeros, NaN, Inf, then the two signs."""
    if not batch:
        return {}
    lengths = [flat.numel() for flat in batch.values()]
    entries = torch.cat([flat.double() for flat in batch.values()] if _mixed(batch) else list(batch.values()))
    if not entries.numel():
        return {uid: Histogram(uid, step, 0, (), ()) for uid in batch}
    exponents = torch.frexp(entries).exponent.long() - 1  # frexp puts the mantissa between 0.5 and 1
    regular = torch.isfinite(entries) & (entries != 0)
    exponents = torch.where(regular, exponents, 0)
    low, high = int(exponents.min()), int(exponents.max())
    width = high - low + 1
    bins = exponents - low + 3 + width * (entries > 0)
    bins = torch.where(entries == 0, 0, bins)
    bins = torch.where(torch.isnan(entries), 1, bins)
    bins = torch.where(torch.isinf(entries), 2, bins)
    columns = 3 + 2 * width
    rows = torch.repeat_interleave(
        torch.arange(len(lengths), device=entries.device), torch.tensor(lengths, device=entries.device)
    )
    counts = torch.bincount(rows * columns + bins, minlength=len(lengths) * columns).view(len(lengths), columns)
    return {
        uid: _record(uid, step, low, row[:3], row[3 : 3 + width], row[3 + width :])
        for uid, row in zip(batch, counts.tolist(), strict=True)
    }


def _mixed(batch: Mapping[int, torch.Tensor]) -> bool:
    return len({flat.dtype for flat in batch.values()}) > 1


def _record(uid: int, step: int, low: int, special: list[int], negative: list[int], positive: list[int]) -> Histogram:
    """Without the empty bins at both ends."""
    used = [i for i, counts in enumerate(zip(negative, positive, strict=True)) if any(counts)]
    first, end = (used[0], used[-1] + 1) if used else (0, 0)
    zeros, nan, inf = special
    return Histogram(
        uid, step, low + first if used else 0, tuple(negative[first:end]), tuple(positive[first:end]), zeros, nan, inf
    )


def _add(found: dict[int, Histogram], more: Mapping[int, Histogram]) -> None:
    """Add histograms; one of a parameter that is there already is of another piece of the same gradient."""
    for uid, new in more.items():
        old = found.get(uid)
        found[uid] = new if old is None else _together(old, new)


def _together(old: Histogram, new: Histogram) -> Histogram:
    parts = [h for h in (old, new) if h.negative]
    low = min((h.low for h in parts), default=0)
    width = max((h.low + len(h.negative) for h in parts), default=0) - low
    negative, positive = [0] * width, [0] * width
    for part in parts:
        for i, (below, above) in enumerate(zip(part.negative, part.positive, strict=True), part.low - low):
            negative[i] += below
            positive[i] += above
    return Histogram(
        old.uid, old.step, low, tuple(negative), tuple(positive),
        old.zeros + new.zeros, old.nan + new.nan, old.inf + new.inf,
    )  # fmt: skip


@dataclass(eq=False)
class HistogramBook:
    """The samples of a run: per parameter the first and the latest."""

    first: dict[int, Histogram] = field(default_factory=dict)
    latest: dict[int, Histogram] = field(default_factory=dict)
    every: int | None = None
    """Sample at every n-th step, as the user asked; None leaves it to `sample`."""
    _seen: int = 0
    _next: int = 0

    def sample(self, gradients: Mapping[int, torch.Tensor], step: int) -> None:
        """A backward delivered these gradients: count them if it is time to."""
        seen, self._seen = self._seen, self._seen + 1
        new = {uid: gradient for uid, gradient in gradients.items() if uid not in self.first}
        if self.every is not None:
            due = step % self.every == 0
        else:
            due = seen >= self._next or sum(gradient.numel() for gradient in gradients.values()) <= SMALL
        if due and seen >= self._next:
            self._next = max(2 * seen, seen + 1)
        self._take(gradients if due else new, step)

    def catch_up(self, gradients: Mapping[int, torch.Tensor], steps: Mapping[int, int], alive: Collection[int]) -> None:
        """The report is made: count the gradients that are at hand, where the latest sample is older.

        One of `alive` that is all zero now was zeroed since.
        """
        waiting: dict[int, dict[int, torch.Tensor]] = {}
        for uid, gradient in gradients.items():
            if uid not in self.latest or self.latest[uid].step < steps[uid]:
                waiting.setdefault(steps[uid], {})[uid] = gradient
        for step in sorted(waiting):
            self._take(waiting[step], step, alive)

    def _take(self, gradients: Mapping[int, torch.Tensor], step: int, alive: Collection[int] = ()) -> None:
        if not gradients:
            return
        # A tracer may be on: what is counted here is none of the user's operations.
        with torch._C.DisableTorchFunction():
            found = measure(gradients, step)
        found = {uid: h for uid, h in found.items() if uid not in alive or h.negative or h.nan or h.inf}
        self.latest.update(found)
        for uid, histogram in found.items():
            self.first.setdefault(uid, histogram)

    def records(self) -> tuple[Histogram, ...]:
        """All samples, the first of each parameter before its latest."""
        answer = []
        for uid in sorted(self.first):
            answer.append(self.first[uid])
            if self.latest[uid].step != self.first[uid].step:
                answer.append(self.latest[uid])
            elif self.latest[uid] is not self.first[uid]:
                answer[-1] = self.latest[uid]
        return tuple(answer)
