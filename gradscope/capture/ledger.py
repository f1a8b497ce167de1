"""What becomes of gradients outside the backward pass: cleared, written, assigned; and the log all of it goes to."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

import torch

from gradscope.capture.events import Log
from gradscope.capture.gradients import Gradients
from gradscope.capture.left import Fate
from gradscope.capture.parameters import Registry
from gradscope.capture.source import Stack, call_path
from gradscope.records import Clear, Path, Write


class Ledger:
    """The log, the gradients it speaks of, and what was told or read off about them between two passes."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.log = Log()
        self.gradients = Gradients()
        self.sees_clears = False
        """Tracing tells when gradients are cleared; without it that is read off the gradients."""
        self._paths: dict[tuple[Any, ...], Path] = {}
        self._recent: deque[tuple[tuple[Any, ...], Path]] = deque(maxlen=8)

    def finish_backward(self) -> None:
        """Close the open backward pass."""
        raise NotImplementedError

    def catch_up(self) -> None:
        """Everything that happened so far is logged and counted."""
        raise NotImplementedError

    def path(self, stack: Stack) -> Path:
        """The lines of a stack; the same stack gives the same path. Each backward() of a line has a path of its own."""
        frames = stack.frames
        for known, path in self._recent:  # to compare two takes less than to look up one
            if known == frames:
                return path
        found = self._paths.get(frames)
        if found is None:
            if len(self._paths) > 4096:
                self._paths.clear()
            found = self._paths[frames] = call_path(stack, "backward")
        self._recent.appendleft((frames, found))
        return found

    def uid_of_grad(self, tensor: torch.Tensor) -> int:
        """The parameter whose gradient a tensor is, or -1."""
        return self.gradients.owner(tensor)

    def log_clears(self, fate: Fate) -> None:
        if fate.gone:
            self.log.note(Clear, self.log.tick(), self.log.step, fate.gone, (), True)
        if fate.zeroed:
            self.log.note(Clear, self.log.tick(), self.log.step, fate.zeroed, (), False)

    def reconcile(self) -> None:
        """Look for gradients that were cleared since the last look, before clearing is told."""
        self.catch_up()
        uids = sorted(self.gradients.holding)
        tensors = [self.registry.tensor(uid) for uid in uids]
        grads = [None if tensor is None else tensor.grad for tensor in tensors]
        fate = self.gradients.compared(uids, grads)
        self.gradients.note(uids, grads)
        self.log_clears(fate)
        self.gradients.let_go(fate.gone | fate.zeroed)

    def cleared(self, uids: Iterable[int], stack: Stack, *, to_none: bool) -> None:
        """Gradients were set to None or zero."""
        self.finish_backward()
        gone = frozenset(uid for uid in uids if uid in self.gradients.holding)
        if not gone:
            return
        self.gradients.let_go(gone)
        path = self.path(stack)
        last = self.log.last()
        if isinstance(last, Clear) and last.path == path and last.to_none == to_none:
            self.log.widen(last, gone)
        else:
            self.log.append(Clear(self.log.tick(), self.log.step, gone, path, to_none, _who(stack)))

    def written(self, uids: Iterable[int], stack: Stack, what: str, by: str) -> None:
        """Gradients or values were written by hand."""
        self.finish_backward()
        touched = frozenset(uids)
        path = self.path(stack)
        last = self.log.last()
        if isinstance(last, Write) and last.path == path and last.what == what:
            self.log.replace_last(Write(last.clock, last.step, last.parameters | touched, path, what, by))
        elif touched:
            self.log.append(Write(self.log.tick(), self.log.step, touched, path, what, by))

    def assigned(self, uid: int, stack: Stack) -> None:
        """The user put a gradient into `.grad` by hand."""
        self.gradients.holding.add(uid)
        self.written([uid], stack, "grad", "assigned")


def _who(stack: Stack) -> str:
    """Whose zero_grad() cleared a gradient."""
    for mark in ("optimizer", "module"):
        if stack.has(f"{mark}.zero_grad"):
            return mark
    return "hand" if stack.frames else ""
