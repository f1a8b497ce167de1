"""One capture: registry, watcher, and (while tracing) tape and tracer, opened and closed together.

What traces and what puts facts together is imported when first needed: watching begins at once.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.modules import module as nn_module

from gradscope.capture.discovery import Names, name_models
from gradscope.capture.eager import Eager
from gradscope.capture.following import Following
from gradscope.capture.histograms import HistogramBook
from gradscope.capture.hooks import Watcher
from gradscope.capture.module_calls import ModuleCalls
from gradscope.capture.parameters import Registry
from gradscope.capture.places import Places
from gradscope.capture.settled import Settled
from gradscope.capture.source import Stack
from gradscope.capture.tape import Tape
from gradscope.capture.threads import clear, here
from gradscope.records import Backward, Run

if TYPE_CHECKING:
    from gradscope.capture.lineage import Tracer
    from gradscope.capture.origin_book import OriginBook
    from gradscope.capture.traced_backward import TracedBackward
    from gradscope.capture.turns import SizeBook


class Capture:
    """Everything that listens to the torch program, from open() to close()."""

    def __init__(self, *, discover: bool = False, every: int = 1, limit: int | None = None) -> None:
        self.registry = Registry()
        self.watcher = Watcher(self.registry, every=every, discover=discover, limit=limit)
        self.watcher.unnamed = self._name if discover else None
        self.watcher.before_optimizer.append(self._in_optimizer)
        self.histograms = HistogramBook()
        self.places = Places()
        self.discover = discover
        self.tape: Tape | None = None
        self.tracer: Tracer | None = None
        self.traced_steps = 0
        self._traced_from = 0
        self.notes: list[str] = []
        self._handles: list[Any] = []
        self.calls = ModuleCalls(self.registry, discover=discover)
        self.calls.on_first.append(self.watcher.ranks.entered)
        self.calls.on_outermost.append(self.watcher.ranks.outermost)
        self.calls.on_child.append(self.watcher.ranks.wrapped)
        self.calls.on_parameter.append(self.watcher.inbox.expect)
        self._open = False
        self._settled: Settled | None = None
        self.whole = True
        """What was traced holds a whole turn of the loop: what nothing read in it is not used."""
        self._backward: TracedBackward | None = None
        self.following = Following(self)

    # --- lifetime --------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Put all hooks in place."""
        self._open = True
        self._handles = [
            nn_module.register_module_parameter_registration_hook(self.calls.parameter_registered),
            nn_module.register_module_module_registration_hook(self.calls.module_registered),
        ]
        self.watcher.attach()

    def close(self) -> None:
        """Remove every hook; what was recorded stays."""
        if not self._open:
            return
        self._open = False
        self.stop_tracing()
        self.watcher.finish_backward()
        self.take_histograms()
        self.watcher.detach()
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    @property
    def is_open(self) -> bool:
        """Whether the hooks are in place."""
        return self._open

    def start_tracing(self) -> None:
        """Follow tensors from here on, in this thread."""
        from gradscope.capture.lineage import Tracer
        from gradscope.capture.traced_backward import TracedBackward

        self.tape = self.tape or Tape()
        self._backward = self._backward or TracedBackward(self)
        self._backward.begin()
        self._traced_from = self.watcher.log.step
        self.tracer = Tracer(self.tape, self.registry, self)
        self.tracer.modules, self.tracer.turns = self.calls.running, self.calls.turns
        clear()
        self.following.begin()
        self.watcher.reconcile()
        self.watcher.sees_clears = self.watcher.measure_updates = True
        self._eager = Eager()
        self._module_hooks = [
            nn_module.register_module_forward_pre_hook(self.calls.enter),
            nn_module.register_module_forward_hook(self.calls.leave, always_call=True),
        ]
        self.tracer.__enter__()  # type: ignore[no-untyped-call]

    def moved(self) -> None:
        """Tracing has moved to this thread. Each counts the nodes of its graphs for itself; others may still clear."""
        assert self._backward is not None
        assert self.tape is not None
        self._backward.begin()
        self.tape.forget_nodes()
        self.blinded()

    def stop_tracing(self) -> None:
        """Follow tensors no more; the tape stays until it is settled."""
        if self.tracer is None:
            return
        tracer, self.tracer = self.tracer, None
        tracer.retire()
        clear()
        for handle in self._module_hooks:
            handle.remove()
        self.calls.forget()
        self._eager.undo()
        self.watcher.sees_clears = self.watcher.measure_updates = False

    def settle(self) -> None:
        """Reduce what was traced to facts and let the tape go. Without a backward pass it explains nothing."""
        if self.tape is not None and self.tape.roots:
            from gradscope.capture.facts import lost

            run = self._facts("")
            self.traced_steps = run.traced
            gone = lost(run)
            self._settled = Settled(run.cuts, run.never_used, run.unseen, run.graph, run.built, gone, self._settled)
        self.tape = None
        self.sizes.clear()

    def traced(self, steps: int) -> int:
        """How many of the run's `steps` were traced, those of the tape at hand included."""
        return self.traced_steps + max(steps - self._traced_from, 1)

    # --- what the tracer tells -------------------------------------------------------------------------------

    def cleared(self, tensor: torch.Tensor, stack: Stack, *, to_none: bool) -> None:
        """A gradient was set to None (of this parameter) or to zeros (this one)."""
        uid = self.registry.uid(tensor) if to_none else self.watcher.uid_of_grad(tensor)
        if uid >= 0:
            self.watcher.cleared([uid], stack, to_none=to_none)

    def grads_written(self, tensors: list[torch.Tensor], stack: Stack, by: str) -> None:
        """Gradients were written to by hand."""
        self.watcher.written([u for t in tensors if (u := self.watcher.uid_of_grad(t)) >= 0], stack, "grad", by)

    def value_written(self, uid: int, stack: Stack, by: str) -> None:
        """A parameter was written to outside its optimizer; before the first backward that is its making."""
        if self.watcher.log.backwards:
            self.watcher.written([uid], stack, "value", by)

    def grad_assigned(self, tensor: torch.Tensor, stack: Stack) -> None:
        """A parameter was given another gradient by hand."""
        uid = self.registry.uid(tensor)
        if uid >= 0:
            self.watcher.assigned(uid, stack)

    def is_grad(self, tensor: torch.Tensor) -> bool:
        """Whether a tensor is the gradient of a parameter."""
        return self.watcher.uid_of_grad(tensor) >= 0

    def optimizer_built(self, optimizer: Any, stack: Stack) -> None:
        """An optimizer was made at this line."""
        self.watcher.book.built(optimizer, stack)

    def blinded(self) -> None:
        """Tracing sees no more: what is cleared and written from here on has to be found out."""
        self.watcher.sees_clears = False

    def failed(self, probe: str, error: Exception) -> None:
        """A probe failed: warn once, note it, and go on without."""
        from gradscope.capture.failure import warn_once

        warn_once(probe, error)
        if self.tracer is None or not self.tracer.active:
            self.blinded()
        self.notes.append(f"the {probe} probe failed and was detached: {type(error).__name__}: {error}")

    def backward(self, func: Callable[..., Any], args: Any, kwargs: Any, stack: Stack) -> Any:
        """Run the user's backward, watched."""
        assert self._backward is not None, "only the tracer tells of these"
        return self._backward.run(func, args, kwargs, stack)

    def _in_optimizer(self, optimizer: Any, closure: bool) -> None:
        """An optimizer is about to step, or (None) has stepped: its own operations are not followed."""
        if self.tracer is not None:
            if here() == self.tracer.thread:
                self._look_inside(self.tracer, optimizer)
                self.tracer.in_optimizer = optimizer is not None and not closure
            else:
                self.following.stepped(over=optimizer is None)
            if optimizer is not None and self.tape is not None:
                self.tape.steps.append(len(self.tape.ops))
                params = (p for group in optimizer.param_groups for p in group["params"])
                self.tape.held.append(frozenset(map(self.registry.uid, params)))

    def _look_inside(self, tracer: Tracer, optimizer: Any) -> None:
        """Of a step that is over, keep where NaN began; of one that begins, look for it if torch did not write it."""
        from gradscope.capture.own_steps import OwnStep, is_own

        if tracer.own_step is not None and self.tape is not None:
            for found in tracer.own_step.written(self.registry, self.tape.held[-1]):
                self.origins.stepped(found, self.watcher.log.step, self.watcher.log.backwards)
        tracer.own_step = OwnStep(optimizer) if is_own(optimizer) else None

    # --- names -----------------------------------------------------------------------------------------------

    def _name(self, stack: Stack) -> None:
        """Parameters without a name turned up: look in the variables of the running frames."""
        self.registry.refresh()
        names = Names()
        names.read_frames(sys._getframe(1))
        self._use_names(names)

    def read_namespace(self, variables: dict[str, Any]) -> None:
        """Look for names in one more namespace."""
        names = Names()
        names.read(variables)
        self._use_names(names)

    def _use_names(self, names: Names) -> None:
        reached = {uid for uid, count in self.watcher.log.counts.items() if count.backwards}
        name_models(self.registry, names, reached)
        book = self.watcher.book
        for name, optimizer in names.optimizers.values():
            number = book.uid(optimizer)
            if number >= 0 and not book.known[number].name:
                book.known[number].name = name

    # --- facts -----------------------------------------------------------------------------------------------

    @cached_property
    def origins(self) -> OriginBook:
        """Where gradients became zero, tiny, huge or NaN, of the passes that were traced."""
        from gradscope.capture.origin_book import OriginBook

        return OriginBook(self.registry)

    @cached_property
    def sizes(self) -> SizeBook:
        """What the traced passes brought back to the operations."""
        from gradscope.capture.turns import SizeBook

        return SizeBook()

    def gradients(self, uids: Iterable[int]) -> dict[int, torch.Tensor]:
        """The gradients that these parameters have now."""
        tensors = {uid: self.registry.tensor(uid) for uid in uids}
        return {u: t.grad for u, t in tensors.items() if t is not None and t.grad is not None}

    def count_every(self, steps: int) -> None:
        """Count the gradients of every n-th step, traced or not."""
        self.histograms.every = steps
        self.watcher.after_backward.append(self._delivered)

    def _delivered(self, gradients: dict[int, torch.Tensor], step: int) -> None:
        if self.tracer is None and step % (self.histograms.every or 1) == 0:
            self.histograms.sample(gradients, step)

    def take_histograms(self) -> None:
        """Count the gradients that are still where the last backward left them."""
        try:
            events = [event for event in self.watcher.log.events() if isinstance(event, Backward)]
            steps = {uid: event.step for event in events for uid in event.norms}
            norms = {uid: norm for event in events for uid, norm in event.norms.items()}
            self.histograms.catch_up(self.gradients(steps), steps, {uid for uid, norm in norms.items() if norm})
        except Exception as error:  # noqa: BLE001 - a report without its histograms is still a report
            self.failed("histograms", error)

    def run(self, script: str = "") -> Run:
        """All facts so far."""
        run = self._facts(script)
        run = self._settled.onto(run, self.traced_steps) if self._settled is not None else run
        return run if self.whole else dataclasses.replace(run, never_used=frozenset())

    def _facts(self, script: str) -> Run:
        from gradscope.capture.facts import facts_of, with_cuts

        return with_cuts(self, facts_of(self, script))
