"""Modules: which are running, and where each parameter and module was put into its parent."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from gradscope.capture.parameters import Registry
from gradscope.capture.source import Stack, snapshot
from gradscope.capture.threads import here


@dataclass(frozen=True, slots=True)
class Away:
    """A call in a thread that is not traced."""

    off: str
    """What has switched gradients off there; empty if they are on."""
    stack: Stack


class ModuleCalls:
    """The hooks on all modules of the process."""

    def __init__(self, registry: Registry, *, discover: bool) -> None:
        self.registry = registry
        self.discover = discover
        self.modules: list[weakref.ref[nn.Module]] = []
        """All modules that ran, by number."""
        self.running: list[int] = []
        """Numbers of the modules that are running in the traced thread, the innermost last."""
        self.turns: list[int] = []
        """Beside each of them, which call of any module this is."""
        self._made = 0
        self.thread = 0
        """The thread that is traced."""
        self._elsewhere: dict[int, frozenset[int]] = {}
        """Per module that another thread ran: the parameters in it that are known."""
        self._before: dict[int, frozenset[int]] = {}
        """The same of those that ran before tracing moved, and not since."""
        self.away: dict[int, Away] = {}
        """Per module that another thread ran: how it was called there first, with gradients if it ever was."""
        self.on_first: list[Callable[[nn.Module], None]] = []
        """Called with each module when it first runs."""
        self.on_outermost: list[Callable[[nn.Module], None]] = []
        """Called with each module that begins to run inside no other."""
        self.on_elsewhere: list[Callable[[], None]] = []
        """Called when a module begins to run in another thread than the traced one."""
        self.on_child: list[Callable[[nn.Module, nn.Module | None], None]] = []
        """Called with each module that is given a child, and the child."""
        self.on_parameter: list[Callable[[nn.Parameter], None]] = []
        """Called with each parameter that a watched module is given, itself or in a child."""
        self._numbers: dict[int, tuple[weakref.ref[nn.Module], int]] = {}

    def parameter_registered(self, module: nn.Module, name: str, parameter: nn.Parameter) -> None:
        """A module was given a parameter."""
        self.registry.dirty |= self.discover or id(module) in self.registry.module_ids
        if parameter is not None:
            self._new(module, (parameter,))
        if parameter is not None and self.discover:
            self.registry.registered(parameter, module, snapshot(sys._getframe(1)))

    def module_registered(self, module: nn.Module, name: str, child: nn.Module | None) -> None:
        """A module was given a child."""
        for probe in self.on_child:
            probe(module, child)
        self.registry.dirty |= self.discover or id(module) in self.registry.module_ids
        if child is not None:
            self._new(module, child.parameters())
        if child is not None and self.discover:
            self._given(child, snapshot(sys._getframe(1)))

    def _given(self, child: nn.Module, stack: Stack) -> None:
        """Note where a module was put into a parent, and if that is a second one and it is trainable: it is shared."""
        known = self.registry.built.get(id(child))
        if known is not None and known[0]() is child and all(p.requires_grad for p in child.parameters()):
            self.registry.shared[id(child)] = (known[0], stack)
        self.registry.built[id(child)] = (weakref.ref(child), stack)

    def _new(self, module: nn.Module, parameters: Iterable[nn.Parameter]) -> None:
        if id(module) in self.registry.module_ids:
            for parameter in parameters:
                for told in self.on_parameter:
                    told(parameter)

    def enter(self, module: nn.Module, inputs: Any) -> None:
        """A module begins to run."""
        known = self._numbers.get(id(module))
        if known is None or known[0]() is not module:
            known = (weakref.ref(module), len(self.modules))
            self._numbers[id(module)] = known
            self.modules.append(known[0])
            for probe in self.on_first:
                probe(module)
        if here() != self.thread:
            for told in self.on_elsewhere:
                told()
        if here() != self.thread:
            self._elsewhere[known[1]] = self._parameters(module)
            self._note_call(known[1])
            return
        self._before.pop(known[1], None)
        self.running.append(known[1])
        self.turns.append(self._made)
        self._made += 1
        if len(self.running) == 1:
            for outermost in self.on_outermost:
                outermost(module)

    def _note_call(self, number: int) -> None:
        told = self.away.get(number)
        grad = torch.is_grad_enabled()
        if told is None or (grad and told.off):
            off = "" if grad else "inference_mode" if torch.is_inference_mode_enabled() else "no_grad"
            self.away[number] = Away(off, snapshot(sys._getframe(2)))

    def leave(self, module: nn.Module, inputs: Any, output: Any) -> None:
        """A module has run."""
        if self.running and here() == self.thread:
            self.running.pop()
            self.turns.pop()

    def forget(self) -> None:
        """Nothing is running, as far as is seen."""
        self.running.clear()
        self.turns.clear()

    def moved(self) -> None:
        """Tracing moves to this thread: what runs in it is seen from now on."""
        self.forget()
        self._before.update(self._elsewhere)
        self._elsewhere.clear()
        self.thread = here()

    def elsewhere(self) -> frozenset[int]:
        """Parameters in modules that another thread ran, which nobody traced."""
        for ran in (self._elsewhere, self._before):
            for number in ran:
                module = self.modules[number]()
                if module is not None:  # an optimizer may have named its parameters since
                    ran[number] = self._parameters(module)
        return frozenset().union(*self._elsewhere.values(), *self._before.values())

    def calls_elsewhere(self) -> list[tuple[frozenset[int], Away]]:
        """The parameters in each module that other threads alone ran, and its call; outer modules first."""
        ran = {**self._before, **self._elsewhere}
        return [(ran[number], away) for number, away in self.away.items() if number in ran]

    def _parameters(self, module: nn.Module) -> frozenset[int]:
        return frozenset(map(self.registry.uid, module.parameters())) - {-1}
