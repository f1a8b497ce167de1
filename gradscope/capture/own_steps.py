"""The step of an optimizer that torch did not write: the first number in it that is not finite.

The operations of torch's optimizers are nobody's line to mend, and are not looked at. In those of others a norm of zero
or an empty average makes NaN out of a finite gradient, and puts it into the weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
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
        """It was found, or came in from outside."""

    def run(self, frame: Any, func: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Call an operation as the optimizer does, and look at what it gives."""
        result = func(*args, **kwargs)
        if not self._over:
            try:
                with unseen():
                    self._look(frame, func, args, result)
            except Exception:  # noqa: BLE001 - shields the user's step
                self._over = True
        return result

    def _look(self, frame: Any, func: Callable[..., Any], args: Any, result: Any) -> None:
        bad = [tensor for tensor in tensors_in((result,)) if not math.isfinite(size(tensor))]
        if not bad:
            return
        self._over = True
        inputs = [tensor for tensor in tensors_in(args) if not any(tensor is b for b in bad)]
        if all(math.isfinite(size(tensor)) for tensor in inputs):
            name, half = classify(func).name, bad[0].dtype is torch.float16
            cause = forward_cause(name, args, set(), half, "", only_inf=not any(bool(b.isnan().any()) for b in bad))
            detail = f"the step of {self.name} wrote it into the weights, out of finite gradients"
            self._found = Found("nan", cause, -1, -1, name, snapshot(frame), detail)

    def written(self, registry: Registry, uids: Iterable[int]) -> list[Found]:
        """Where it began, per parameter of the optimizer, if it is in the weights now."""
        found, uids = self._found, list(uids)
        if found is None:
            return []
        params = [tensor for uid in uids if uid >= 0 and (tensor := registry.tensor(uid)) is not None]
        with unseen():
            spoilt = any(not math.isfinite(size(param)) for param in params)
        return [replace(found, uid=uid) for uid in uids if spoilt]


def is_own(optimizer: object) -> bool:
    """Whether an optimizer's class is not torch's."""
    return isinstance(optimizer, torch.optim.Optimizer) and not type(optimizer).__module__.startswith("torch.")
