"""The user's backward while it is traced: the graph below the loss is walked, its nodes watched, and both read.

* What fails here is told once, and the user's backward runs all the same, without being watched.
* Before the pass the graph says which parameters are connected; afterwards it is let go, and what its nodes did goes
  to the books of the capture: origins, sizes, histograms, places.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from gradscope.capture.backward import WALK_LIMIT, GraphWalk, Recorder, walk
from gradscope.capture.buffers import note_buffers
from gradscope.capture.grad_hooks import GradHooks
from gradscope.capture.norms import numberless
from gradscope.capture.origins import explain
from gradscope.capture.source import Stack
from gradscope.capture.tape import Root, Tape
from gradscope.capture.tensors import sequence
from gradscope.capture.turns import measured_in
from gradscope.records import Backward

if TYPE_CHECKING:
    from gradscope.capture.capture import Capture


class TracedBackward:
    """Runs the backward passes of one capture."""

    def __init__(self, capture: Capture) -> None:
        self._capture = capture
        self._made = 0
        """Graph nodes that this thread had made before the last traced backward."""
        self._looked_at = 0
        """Modules whose buffers are known to the tape."""

    def begin(self) -> None:
        """Tracing begins: nodes made before are in no pass of it."""
        self._made, self._looked_at = sequence(), 0

    def run(self, func: Callable[..., Any], args: Any, kwargs: Any, stack: Stack) -> Any:
        """Run the user's backward with the graph watched."""
        capture = self._capture
        try:
            prepared = self._prepare(args, kwargs, stack)
        except Exception as error:  # noqa: BLE001 - shields the user's backward
            capture.failed("backward", error)
            return func(*args, **kwargs)
        if prepared is None:
            return func(*args, **kwargs)
        recorder, root = prepared
        try:
            return func(*args, **kwargs)
        finally:
            recorder.close()
            capture.watcher.finish_backward()
            try:
                self._read(recorder, root)
            except Exception as error:  # noqa: BLE001 - shields the user's backward
                capture.failed("origins", error)

    def _prepare(self, args: Any, kwargs: Any, stack: Stack) -> tuple[Recorder, int] | None:
        """Watch the graph below the roots, and tell the watcher which parameters it reaches."""
        tracer, tape = self._capture.tracer, self._capture.tape
        if tracer is None or tape is None:
            return None
        first = args[0] if args else kwargs.get("tensors")
        roots = [first] if isinstance(first, torch.Tensor) else list(first or ())
        if numberless(roots):
            return None  # nothing is trained
        values = [tracer.see(root, stack) for root in roots]
        names = self._capture.watcher.unnamed
        if names is not None and not any(root.requires_grad for root in roots):
            names(stack)  # it will fail, and what the frames hold is gone when the report is made
        made = sequence()
        graph = walk(roots) if made - self._made <= WALK_LIMIT else GraphWalk(truncated=True)
        self._made = made
        self._read_optimizers()
        reached = self._attach(graph)
        loss = float(roots[0].detach()) if len(roots) == 1 and roots[0].numel() == 1 else None
        self._begin(stack, tape, values, reached if not graph.truncated else None, loss)
        return Recorder(graph, explain), values[0] if values else -1

    def _read_optimizers(self) -> None:
        """Hook the parameters of optimizers not read yet: the graph of a reentrant checkpoint does not show them."""
        watcher = self._capture.watcher
        for number, known in enumerate(watcher.book.known):
            if not known.groups:
                watcher.book.read(number)
                watcher.attach_parameters(watcher.book.known[number].uids)

    def _attach(self, graph: GraphWalk) -> frozenset[int]:
        """The parameters that a graph reaches, all of them hooked."""
        capture = self._capture
        uids = []
        for variable in graph.leaves.values():
            uid = capture.registry.uid(variable)
            if uid < 0 and capture.discover and isinstance(variable, nn.Parameter):
                uid = capture.registry.add(variable)
            if uid >= 0:
                uids.append(uid)
        capture.watcher.attach_parameters(uids)
        return frozenset(uids)

    def _begin(
        self, stack: Stack, tape: Tape, values: list[int], reached: frozenset[int] | None, loss: float | None
    ) -> None:
        watcher = self._capture.watcher
        root = values[0] if values else None
        again = tape.contained(values[0]) if values else frozenset()
        watcher.begin_backward(stack, again=again, root=root, connected=reached, loss=loss)
        for value in values:
            tape.roots.append(Root(value, len(tape.ops), watcher.log.clock, watcher.log.backwards))

    def _read(self, recorder: Recorder, root: int) -> None:
        """Hand on to the books what the nodes of the graph did."""
        capture, graph = self._capture, recorder.graph
        event = capture.watcher.log.last()
        if recorder.error is not None:
            raise recorder.error
        if not isinstance(event, Backward) or capture.tape is None:
            return
        capture.places.read(capture.calls.modules, capture.registry)
        note_buffers(capture.tape, capture.calls.modules[self._looked_at :])
        self._looked_at = len(capture.calls.modules)
        capture.histograms.sample(capture.gradients(event.norms), event.step)
        if graph.truncated or not graph.steps:
            return
        hooks = GradHooks(capture.tracer.hook_lines if capture.tracer else {}, capture.calls.modules)
        capture.origins.read(capture.tape, graph, event, root, hooks)
        uids = {number: capture.registry.uid(leaf) for number, leaf in graph.leaves.items()}
        capture.sizes.add(event, measured_in(graph, capture.tape, uids), capture.origins.steps())
