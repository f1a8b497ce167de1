"""The user's hooks on gradients: where the one was put, or is written, that made a gradient zero."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from gradscope.capture.backward import Step
from gradscope.capture.source import EMPTY, Stack
from gradscope.capture.statements import last_return
from gradscope.capture.tape import Tape

MODULE_HOOK = "BackwardHookFunctionBackward"
"""The node that torch puts around a module with backward hooks: one where values enter, one where they leave."""


@dataclass(frozen=True, slots=True)
class GradHooks:
    """What is known of hooks in a traced step."""

    lines: Mapping[int, Stack]
    """Per uid where the user put a hook on the gradient of a parameter."""
    modules: Sequence[weakref.ref[nn.Module]]
    """The modules that ran, by the number that operations name them by."""

    def on_parameter(self, uid: int, variable: torch.Tensor) -> Stack | None:
        """Where a hook on a parameter was put, else where it is written; None if it has none."""
        hooks = getattr(variable, "_backward_hooks", None)
        return (self.lines.get(uid) or written(hooks.values())) if hooks else None

    def spares(self, hook: Stack, others: Mapping[int, torch.Tensor]) -> bool:
        """Whether one of these, which all got a gradient, has a hook from the same line."""
        found = (self.on_parameter(uid, variable) for uid, variable in others.items())
        return any(stack is not None and stack.frames[:1] == hook.frames[:1] for stack in found)

    def on_module(self, tape: Tape, step: Step) -> Stack | None:
        """Where the backward hook of a module is written that a node stands for; None if it stands for none."""
        if step.name != MODULE_HOOK:
            return None
        before = tape.op_of_node(step.sequence)  # torch says nothing of these nodes: the operation seen last
        return written(self._around(tape, before)) if before >= 0 else EMPTY

    def _around(self, tape: Tape, before: int) -> list[Any]:
        """The hooks of the module that is left after an operation, or else is entered after it."""
        after = tape.ops[before + 1].module if before + 1 < len(tape.ops) else -1
        left, entered = self._holding(tape.ops[before].module), self._holding(after)
        leaving = [m for m in left if m not in entered and m._backward_pre_hooks]
        entering = [m for m in entered if m not in left and m._backward_hooks]
        hooks = [m._backward_pre_hooks for m in leaving] + [m._backward_hooks for m in entering]
        return list(hooks[0].values()) if hooks else []

    def _holding(self, number: int) -> list[nn.Module]:
        """The modules with backward hooks that ran and hold one, the innermost first."""
        inner = self._module(number)
        hooked = [m for reference in self.modules if (m := reference()) is not None and _hooked(m)]
        around = [m for m in hooked if inner is not None and any(part is inner for part in m.modules())]
        return sorted(around, key=lambda module: sum(1 for _ in module.modules()))

    def _module(self, number: int) -> nn.Module | None:
        return self.modules[number]() if 0 <= number < len(self.modules) else None


def _hooked(module: nn.Module) -> bool:
    return bool(module._backward_hooks or module._backward_pre_hooks)


def written(hooks: Iterable[Any]) -> Stack:
    """What the first of some hooks returns, as far as it is Python: a function, a method, an object that is called."""
    for hook in hooks:
        while isinstance(hook, functools.partial):
            hook = hook.func  # noqa: PLW2901
        code = getattr(hook, "__code__", None) or getattr(vars(type(hook)).get("__call__"), "__code__", None)
        if code is not None:
            return Stack(((code, -last_return(code)),))
    return EMPTY
