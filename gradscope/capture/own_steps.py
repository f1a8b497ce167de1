"""The step of an optimizer that torch did not write: the first number in it that is not finite.

The operations of torch's optimizers are nobody's line to mend, and are not looked at. In those of others a norm of zero
or an empty average makes NaN out of a finite gradient, and puts it into the weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import torch

from gradscope.capture.nonfinite_causes import forward_cause
from gradscope.capture.norms import unseen
from gradscope.capture.operations import classify
from gradscope.capture.origins import Found
from gradscope.capture.parameters import Registry
from gradscope.capture.source import snapshot
from gradscope.capture.tensors import size, tensors_in


class OwnStep:
    """Runs the operations of one step."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.name = type(optimizer).__name__
        self._found: Found | None = None
        self._over = False
        """It has begun, in this step or before."""

    def run(self, frame: Any, func: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Call an operation as the optimizer does, and look at what it is given and what it gives."""
        if self._over:
            return func(*args, **kwargs)
        sound = _is_sound((args, kwargs))  # before: it may write into one of them
        result = func(*args, **kwargs)
        self._over = not sound or not _is_sound((result,))
        if self._over and sound:
            with suppress(Exception):  # shields the user's step
                self._found = self._born(frame, func, args, result)
        return result

    def _born(self, frame: Any, func: Callable[..., Any], args: Any, result: Any) -> Found | None:
        kind = classify(func)
        if getattr(func, "__name__", "") == "__get__":
            return None  # a gradient that is read has come from outside
        with unseen():
            bad = [tensor for tensor in tensors_in((result,)) if not math.isfinite(size(tensor))]
            only_inf = not any(bool(tensor.isnan().any()) for tensor in bad)
            cause = forward_cause(kind.name, args, set(), bad[0].dtype is torch.float16, "", only_inf=only_inf)
        detail = f"the step of {self.name} wrote it into the weights, out of finite gradients"
        return Found("nan", cause, -1, -1, kind.name, snapshot(frame), detail)

    def written(self, registry: Registry, uids: Iterable[int]) -> list[Found]:
        """Where it began, per parameter of the optimizer, if it is in the weights now."""
        found, uids = self._found, list(uids)
        if found is None:
            return []
        params = [tensor for uid in uids if uid >= 0 and (tensor := registry.tensor(uid)) is not None]
        with unseen():
            spoilt = any(not math.isfinite(size(param)) for param in params)
        return [replace(found, uid=uid) for uid in uids if spoilt]


def _is_sound(items: Any) -> bool:
    """Whether no tensor in these holds NaN or Inf. What cannot be looked at is none that a line is blamed for."""
    try:
        with unseen():
            return all(math.isfinite(size(tensor)) for tensor in tensors_in(items))
    except Exception:  # noqa: BLE001 - shields the user's step
        return False


def is_own(optimizer: object) -> bool:
    """Whether an optimizer's class is not torch's."""
    return isinstance(optimizer, torch.optim.Optimizer) and not type(optimizer).__module__.startswith("torch.")
