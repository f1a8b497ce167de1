"""One capture: registry, watcher, and (while tracing) tape and tracer, opened and closed together."""

from __future__ import annotations

import contextlib
import math
import sys
import weakref
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn
from torch.nn.modules import module as nn_module

from gradscope import _version
from gradscope.capture.backward import WALK_LIMIT, GraphWalk, Recorder, walk
from gradscope.capture.cuts import CutFinder
from gradscope.capture.discovery import Names, name_models, name_orphans
from gradscope.capture.events import ZERO
from gradscope.capture.graph import build_graph
from gradscope.capture.histograms import HistogramBook
from gradscope.capture.hooks import Watcher
from gradscope.capture.lineage import Tracer
from gradscope.capture.nonfinite import NonfiniteFinder
from gradscope.capture.origins import Found, explain, group
from gradscope.capture.parameters import Registry
from gradscope.capture.places import Places
from gradscope.capture.scales import ScaleFinder
from gradscope.capture.settled import Settled
from gradscope.capture.source import Stack, here, resolve, snapshot
from gradscope.capture.tape import Root, Tape
from gradscope.capture.turns import MEASURED_STEPS, Sizes, sizes_of
from gradscope.capture.zeros import ZeroFinder
from gradscope.records import Backward, Graph, Origin, Run


class Capture:
    """Everything that listens to the torch program, from open() to close()."""

    def __init__(self, *, discover: bool = False, every: int = 1, limit: int | None = None) -> None:
        self.registry = Registry()
        self.watcher = Watcher(self.registry, every=every, discover=discover, limit=limit)
        self.watcher.unnamed = self._name if discover else None
        self.watcher.before_optimizer.append(self._in_optimizer)
        self.watcher.on_step.append(self._sample_step)
        self.histograms = HistogramBook()
        self.places = Places()
        self.discover = discover
        self.tape: Tape | None = None
        self.tracer: Tracer | None = None
        self.traced_steps = 0
        self.notes: list[str] = []
        self._handles: list[Any] = []
        self._zeros: dict[int, tuple[Found, int, int]] = {}
        self._nonfinite: dict[int, tuple[Found, int, int]] = {}
        self._tiny: dict[int, tuple[Found, int, int]] = {}
        self._huge: dict[int, tuple[Found, int, int]] = {}
        self._sums: dict[int, tuple[Found, int, int]] = {}
        self._module_ids: dict[int, tuple[weakref.ref[nn.Module], int]] = {}
        self._modules: list[weakref.ref[nn.Module]] = []
        self._sizes: dict[int, Sizes] = {}
        self._made = 0
        """Graph nodes that this thread had made before the last traced backward."""
        self._open = False
        self._settled: Settled | None = None

    # --- lifetime --------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Put all hooks in place."""
        self._open = True
        self._handles = [
            nn_module.register_module_parameter_registration_hook(self._parameter_registered),
            nn_module.register_module_module_registration_hook(self._module_registered),
        ]
        self.watcher.attach()

    def close(self) -> None:
        """Remove every hook; what was recorded stays."""
        if not self._open:
            return
        self._open = False
        self.stop_tracing()
        self.watcher.finish_backward()
        self._take_histograms()
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
        self.tape = self.tape or Tape()
        self._made = torch.autograd._get_sequence_nr()  # type: ignore[attr-defined]
        self.tracer = Tracer(self.tape, self.registry, self)
        self.watcher.reconcile()
        self.watcher.sees_clears = self.watcher.measure_updates = True
        self._module_hooks = [
            nn_module.register_module_forward_pre_hook(self._enter_module),
            nn_module.register_module_forward_hook(self._leave_module, always_call=True),
        ]
        self.tracer.__enter__()  # type: ignore[no-untyped-call]

    def stop_tracing(self) -> None:
        if self.tracer is None:
            return
        tracer, self.tracer = self.tracer, None
        tracer.active = False
        with contextlib.suppress(Exception):
            tracer.__exit__(None, None, None)  # type: ignore[no-untyped-call]
        for handle in self._module_hooks:
            handle.remove()
        self.watcher.sees_clears = self.watcher.measure_updates = False

    def settle(self) -> None:
        """Reduce what was traced to facts and let the tape go."""
        if self.tape is None:
            return
        self.traced_steps += 1
        run = self._with_cuts(self._facts(""))
        self._settled = Settled(run.cuts, run.never_used, run.graph, self._settled)
        self.tape = None
        self._sizes.clear()

    # --- modules ---------------------------------------------------------------------------------------------

    def _parameter_registered(self, module: nn.Module, name: str, parameter: nn.Parameter) -> None:
        self.registry.dirty |= self.discover or id(module) in self.registry.module_ids
        if parameter is not None and self.discover:
            self.registry.registered(parameter, snapshot(sys._getframe(1)))

    def _module_registered(self, module: nn.Module, name: str, child: nn.Module | None) -> None:
        self.registry.dirty |= self.discover or id(module) in self.registry.module_ids
        if child is not None and self.discover:
            self.registry.built[id(child)] = (weakref.ref(child), snapshot(sys._getframe(1)))

    def _enter_module(self, module: nn.Module, inputs: Any) -> None:
        if self.tracer is not None:
            known = self._module_ids.get(id(module))
            if known is None or known[0]() is not module:
                known = (weakref.ref(module), len(self._modules))
                self._module_ids[id(module)] = known
                self._modules.append(known[0])
            self.tracer.modules.append(known[1])

    def _leave_module(self, module: nn.Module, inputs: Any, output: Any) -> None:
        if self.tracer is not None and self.tracer.modules:
            self.tracer.modules.pop()

    # --- what the tracer tells -------------------------------------------------------------------------------

    def cleared(self, tensor: torch.Tensor, stack: Stack, *, to_none: bool) -> None:
        uid = self.registry.uid(tensor) if to_none else self.watcher.uid_of_grad(tensor)
        if uid >= 0:
            self.watcher.cleared([uid], stack, to_none=to_none)

    def grads_written(self, tensors: list[torch.Tensor], stack: Stack, by: str) -> None:
        uids = [uid for uid in map(self.watcher.uid_of_grad, tensors) if uid >= 0]
        self.watcher.written(uids, stack, "grad", by)

    def value_written(self, uid: int, stack: Stack, by: str) -> None:
        if self.watcher.log.backwards:
            self.watcher.written([uid], stack, "value", by)

    def grad_assigned(self, tensor: torch.Tensor, stack: Stack) -> None:
        uid = self.registry.uid(tensor)
        if uid >= 0:
            self.watcher.assigned(uid, stack)

    def is_grad(self, tensor: torch.Tensor) -> bool:
        return self.watcher.uid_of_grad(tensor) >= 0

    def optimizer_built(self, optimizer: Any, stack: Stack) -> None:
        self.watcher.book.built(optimizer, stack)

    def failed(self, probe: str, error: Exception) -> None:
        from gradscope.capture.failure import warn_once

        warn_once(probe, error)
        if self.tracer is None or not self.tracer.active:
            self.watcher.sees_clears = False
        self.notes.append(f"the {probe} probe failed and was detached: {type(error).__name__}: {error}")

    def _in_optimizer(self, optimizer: Any, closure: bool) -> None:
        if self.tracer is not None:
            self.tracer.in_optimizer = optimizer is not None and not closure
            if optimizer is not None and self.tape is not None:
                self.tape.steps.append(len(self.tape.ops))

    # --- traced backward -------------------------------------------------------------------------------------

    def backward(self, func: Callable[..., Any], args: Any, kwargs: Any, stack: Stack) -> Any:
        """Run the user's backward with the graph watched."""
        try:
            prepared = self._prepare(args, kwargs, stack)
        except Exception as error:  # noqa: BLE001 - shields the user's backward
            self.failed("backward", error)
            return func(*args, **kwargs)
        if prepared is None:
            return func(*args, **kwargs)
        graph, recorder, root = prepared
        try:
            return func(*args, **kwargs)
        finally:
            recorder.close()
            self.watcher.end_backward()
            try:
                self._read(graph, recorder, root)
            except Exception as error:  # noqa: BLE001 - shields the user's backward
                self.failed("origins", error)

    def _prepare(self, args: Any, kwargs: Any, stack: Stack) -> tuple[GraphWalk, Recorder, int] | None:
        tracer, tape = self.tracer, self.tape
        if tracer is None or tape is None:
            return None
        first = args[0] if args else kwargs.get("tensors")
        roots = [first] if isinstance(first, torch.Tensor) else list(first or ())
        values = [tracer.see(root, stack) for root in roots]
        made = torch.autograd._get_sequence_nr()  # type: ignore[attr-defined]
        graph = walk(roots) if made - self._made <= WALK_LIMIT else GraphWalk(truncated=True)
        self._made = made
        for number, known in enumerate(self.watcher.book.known):
            if not known.groups:
                self.watcher.book.read(number)
        uids = []
        for variable in graph.leaves.values():
            uid = self.registry.uid(variable)
            if uid < 0 and self.discover and isinstance(variable, nn.Parameter):
                uid = self.registry.add(variable)
            if uid >= 0:
                uids.append(uid)
        self.watcher.attach_parameters(uids)
        reached = frozenset(uids) if not graph.truncated else None
        log = self.watcher.log
        loss = float(roots[0].detach()) if len(roots) == 1 and roots[0].numel() == 1 else None
        again = self._contained(values[0]) if values else frozenset()
        self.watcher.begin_backward(stack, again=again, root=values[0] if values else None, connected=reached, loss=loss)
        for value in values:
            tape.roots.append(Root(value, len(tape.ops), log.clock, log.backwards))
        recorder = Recorder(graph, explain, norms=log.step < MEASURED_STEPS)
        return graph, recorder, values[0] if values else -1

    def _contained(self, root: int) -> frozenset[int]:
        """Roots of the last backward passes that this one was computed from: they are gone through again."""
        assert self.tape is not None
        recent = {r.value for r in self.tape.roots[-8:] if r.value != root}
        found: set[int] = set()
        todo, seen = [root] if recent else [], {root}
        while todo and len(seen) < 5000:
            for parent, live in self.tape.values[todo.pop()].parents:
                if live and parent not in seen:
                    seen.add(parent)
                    todo.append(parent)
        found = recent & seen
        return frozenset(found)

    def _read(self, graph: GraphWalk, recorder: Recorder, root: int) -> None:
        event = self.watcher.log.last()
        if recorder.error is not None:
            raise recorder.error
        if not isinstance(event, Backward) or self.tape is None:
            return
        self.places.read(self._modules, self.registry)
        self.histograms.sample(self._gradients(event.norms), event.step)
        if graph.truncated or not graph.steps:
            return
        if recorder.norms:
            self._sizes[event.index] = sizes_of(graph, self.tape)
        delivered = {u: event.norms.get(u) for u in event.connected or () if u not in event.added}
        hooks = self.tracer.hook_lines if self.tracer else {}
        now = (event.step, event.index)
        if any(n is None or n < ZERO for n in delivered.values()) or event.added:
            for found in ZeroFinder(self.tape, self.registry, hooks).find(graph, delivered):
                self._zeros[found.uid] = (found, *now)
        if any(n is not None and not math.isfinite(n) for n in event.norms.values()):
            for found in NonfiniteFinder(self.tape, self.registry).find(graph, dict(event.norms), root):
                self._nonfinite.setdefault(found.uid, (found, *now))
        self._scales(graph, event)

    def _scales(self, graph: GraphWalk, event: Backward) -> None:
        """Note where tiny gradients shrank (the last time) and huge ones grew (the first time)."""
        assert self.tape is not None
        finder = ScaleFinder(self.tape, self.registry)
        summed = finder.summed(graph) if event.step < 3 else None
        for uid in event.norms if summed is not None else ():
            self._sums.setdefault(uid, (Found("summed", "sum_reduction", uid, summed.index, summed.name, summed.stack), event.step, event.index))
        for found in finder.find(graph, dict(event.norms), event.loss):
            if found.kind != "exploding":
                self._tiny[found.uid] = (found, event.step, event.index)
            else:
                self._huge.setdefault(found.uid, (found, event.step, event.index))

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
        name_models(self.registry, names)
        book = self.watcher.book
        for name, optimizer in names.optimizers.values():
            number = book.uid(optimizer)
            if number >= 0 and not book.known[number].name:
                book.known[number].name = name

    # --- facts -----------------------------------------------------------------------------------------------

    def _gradients(self, uids: Iterable[int]) -> dict[int, torch.Tensor]:
        tensors = {uid: self.registry.tensor(uid) for uid in uids}
        return {u: t.grad for u, t in tensors.items() if t is not None and t.grad is not None}

    def _sample_step(self, step: int) -> None:
        """A step is over that was not traced: count its gradients if the user asked for that."""
        event = self.watcher.log.last()
        if self.histograms.every is not None and self.tracer is None and isinstance(event, Backward):
            self.histograms.sample(self._gradients(event.norms), step)

    def _take_histograms(self) -> None:
        """Count the gradients that are still where the last backward left them."""
        try:
            events = [event for event in self.watcher.log.events() if isinstance(event, Backward)]
            steps = {uid: event.step for event in events for uid in event.norms}
            norms = {uid: norm for event in events for uid, norm in event.norms.items()}
            self.histograms.catch_up(self._gradients(steps), steps, {uid for uid, norm in norms.items() if norm})
        except Exception as error:  # noqa: BLE001 - a report without its histograms is still a report
            self.failed("histograms", error)

    def _drawn(self, run: Run, finder: CutFinder) -> Graph | None:
        try:
            self.places.read(self._modules, self.registry)
            origins = [found for table in (self._nonfinite, self._zeros) for found, _, _ in table.values()]
            return build_graph(finder, run, self.places.known, self._sizes, origins)
        except Exception as error:  # noqa: BLE001 - a report without its picture is still a report
            self.failed("graph", error)
            return None

    def run(self, script: str = "") -> Run:
        """All facts so far."""
        run = self._with_cuts(self._facts(script))
        return self._settled.onto(run, self.traced_steps) if self._settled is not None else run

    def _facts(self, script: str) -> Run:
        self.watcher.catch_up()
        if self._open:
            self._take_histograms()
        optimizers = self.watcher.book.records()
        if self.discover:
            if any(not e.owners and e.ref() is not None for e in self.registry.entries.values()):
                self.registry.refresh()
                name_orphans(self.registry)
        models, parameters = self.registry.records()
        log = self.watcher.log
        run = Run(
            torch=torch.__version__,
            gradscope=_version.__version__,
            script=script,
            steps=log.steps,
            backwards=log.backwards,
            models=models,
            parameters=parameters,
            optimizers=optimizers,
            events=log.events(),
            tallies=log.tallies(),
            origins=self._origins(),
            notes=(*self.notes, *self.watcher.failures, *filter(None, [self.watcher.budget.note()])),
            histograms=self.histograms.records(),
        )
        return run

    def _with_cuts(self, run: Run) -> Run:
        if self.tape is None:
            return run
        import dataclasses

        finder = CutFinder(self.tape)
        missing = [u for u in run.parameters if not (t := run.tallies.get(u)) or not t.backwards]
        silent = [u for u in missing if any(u in o.parameters for o in run.optimizers) or run.parameters[u].frozen_at]
        unused = frozenset(u for u in run.parameters if not finder.used(u))
        held = {u for o in run.optimizers for u in o.parameters}
        loose = frozenset(u for u, t in run.tallies.items() if t.backwards and u not in held)
        run = dataclasses.replace(run, cuts=finder.find(silent), never_used=unused, traced=log_steps(run), built=self.registry.built_lines(unused | loose))
        return dataclasses.replace(run, graph=self._drawn(run, finder))

    def _origins(self) -> tuple[Origin, ...]:
        answer: list[Origin] = []
        for table in (self._nonfinite, self._zeros, self._huge, self._tiny, self._sums):
            for when in sorted({(step, index) for _, step, index in table.values()}):
                here_ = [found for found, *at in table.values() if tuple(at) == when]
                answer.extend(_origin(found, uids, *when) for found, uids in group(here_))
        return tuple(answer)


def log_steps(run: Run) -> int:
    return run.steps


def _origin(found: Found, uids: Iterable[int], step: int, backward: int) -> Origin:
    return Origin(
        found.kind, found.cause, frozenset(uids), resolve(found.stack), found.name, step, backward, detail=found.detail
    )


__all__ = ["Capture", "here"]
