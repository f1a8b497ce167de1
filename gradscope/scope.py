"""Scopes: where capture and everything else meet. Opens probes, closes them, and makes reports."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar, overload

import torch
from torch import nn

from gradscope.capture.capture import Capture
from gradscope.capture.given import Tensors, tensors_of
from gradscope.capture.marked import Marked, OneStep, Steps
from gradscope.capture.summaries import StepSummary, Teller
from gradscope.capture.variables import arguments_of, variable_name
from gradscope.errors import GradscopeError, NameClashError, NothingWatchedError, NotTrainableError
from gradscope.recording import Destination, recorder_of

if TYPE_CHECKING:
    from gradscope.render.graph import Drawing
    from gradscope.report import Report

Model = nn.Module | Tensors
F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

SHARE = 0.01
"""What watching may take of the run's time."""
_scopes: list[weakref.ref[Scope]] = []


class Scope:
    """Watches models until it is closed. Use it as a context manager, or let it live as long as the loop."""

    def __init__(
        self,
        models: Mapping[str, Model],
        *,
        every: int = 1,
        expect_no_grad: Iterable[str] = (),
        budget: float | None = SHARE,
        to: Destination = None,
        histograms: int | None = None,
    ) -> None:
        for name in models:
            if not isinstance(name, str) or not name:
                raise GradscopeError(f"{name!r} is no name for a model: it is text such as 'encoder'")
        if not isinstance(every, int) or every < 1:
            raise GradscopeError(f"every={every!r} makes no sense: norms are measured at every n-th backward, n >= 1")
        if histograms is not None and (not isinstance(histograms, int) or histograms < 1):
            raise GradscopeError(
                f"histograms={histograms!r} makes no sense: they are counted at every n-th step, n >= 1"
            )
        if budget is not None and not (isinstance(budget, (int, float)) and 0 < budget < 1):
            raise GradscopeError(f"budget={budget!r} makes no sense: it is a share of the run's time, such as 0.01")
        self._capture = Capture(every=every)
        self._marked = Marked(self._capture)
        self._capture.watcher.budget.share = budget
        if histograms is not None:
            self._capture.count_every(histograms)
        idle = {expect_no_grad} if isinstance(expect_no_grad, str) else set(expect_no_grad)
        for name, model in models.items():
            self._capture.registry.add_model(name, model, idle=name in idle)
        unknown = idle - set(models)
        if unknown:
            raise GradscopeError(f"expect_no_grad names {sorted(unknown)}, but the models are {sorted(models)}")
        if not any(t.requires_grad for m in self._capture.registry.models for _, t in m.named_tensors()):
            raise NotTrainableError("no parameter of these models requires a gradient: nothing can be trained")
        self._tellers: list[Teller] = []
        self._recorder = recorder_of(to)
        self._marked.look_around()
        self._capture.open()
        self._recorder.follow(self._capture)
        _scopes.append(weakref.ref(self))

    def add(self, **models: Model) -> None:
        """Watch more models, also after training began.

        Raises GradscopeError if there are none or the scope is closed, and what `watch` raises for a model.
        """
        if not models:
            raise GradscopeError("nothing to add: call scope.add(decoder=decoder)")
        if not self._capture.is_open:
            raise GradscopeError(
                f"cannot watch {', '.join(models)}: this scope is closed; call gradscope.watch() again"
            )
        for name, model in models.items():
            self._capture.registry.add_model(name, model)
        self._capture.watcher.attach_parameters(list(self._capture.registry.entries))

    @overload
    def step(self) -> OneStep: ...

    @overload
    def step(self, function: F) -> F: ...

    def step(self, function: Callable[..., Any] | None = None) -> Any:
        """Mark one turn of the loop: `with scope.step():`, or `@scope.step` on the function that does one.

        A bare `scope.step()` says that a turn is over: what comes after it belongs to the next.
        """
        if function is None:
            return OneStep(self._marked)
        if not callable(function):
            raise GradscopeError(f"scope.step() takes the function that does one step, and {function!r} is none")
        return OneStep(self._marked)(function)

    def steps(self, iterable: Iterable[T]) -> Steps[T]:
        """Iterate over batches; each turn of the loop is a step. Has the length of what it iterates over."""
        return Steps(self._marked, iterable)

    def report(self, *, ranks: bool = False, timeout: float = 30.0) -> Report:
        """What happened so far and what is wrong with it.

        With `ranks`, of all processes of the job: each has to call it; who does not within `timeout` is told.
        """
        from gradscope.asking import alone, ask
        from gradscope.report import Report

        run = self._capture.run()
        self._tell()
        return Report(ask(run, timeout) if ranks else alone(run))

    def assert_flow(self, *, allow: Iterable[str] = (), warnings: bool = False) -> None:
        """Raise GradientFlowError if a model does not receive the gradient it should (see Report.assert_flow)."""
        self.report().assert_flow(allow=allow, warnings=warnings)

    def on_step(self, callback: Callable[[StepSummary], None]) -> None:
        """Call `callback` with a StepSummary after each completed step; on a device, when its numbers have come."""
        teller = Teller(self._capture.watcher, self._capture.histograms, callback)
        self._tellers.append(teller)
        self._capture.watcher.loop.on_step.append(teller.turned)

    def close(self) -> None:
        """Remove every hook and finish the run file. The report stays available."""
        self._capture.close()
        self._tell()
        self._recorder.close()

    def _tell(self) -> None:
        """Everything was fetched: tell of the steps that waited for it."""
        for teller in self._tellers:
            teller.tell()

    def __enter__(self) -> Scope:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_recorder") and not sys.is_finalizing():  # when torch would abort at the touch of a DTensor
            self._recorder.let_go(self._capture)
            self.close()

    def __str__(self) -> str:
        return str(self.report())


def watch(
    *models: Model | Mapping[str, Model],
    every: int = 1,
    to: str | Path | None = None,
    expect_no_grad: Iterable[str] = (),
    budget: float | None = SHARE,
    histograms: int | None = None,
    **named: Model,
) -> Scope:
    """Watch models through an unchanged training loop.

    Names come from keywords, from a dict, or for positional models from the caller's variables. `every`
    measures norms at every n-th backward pass only (who received a gradient is always recorded).
    `expect_no_grad` names models that are meant to get none. `budget` is the share of the run's time that
    measuring norms may take once it has taken half a second: they are measured less often to stay within it; None
    measures them at every backward. Noting who received a gradient comes on top, at every backward. `to` names the run
    file that is written meanwhile. `histograms` counts gradients by magnitude at every n-th step.

    Raises NotTrainableError for a model without parameters, NameClashError for a name or model given twice, and
    RunFileError if the run file cannot be created.
    """
    given: list[tuple[str, Model]] = []
    for index, model in enumerate(models):
        if isinstance(model, Mapping):
            given += model.items()
        else:
            name = variable_name(model, sys._getframe(1))
            taken = any(name == other and model is not theirs for other, theirs in given)
            given.append((f"model{index}" if name is None or taken else name, model))
    given += named.items()
    options = {"every": every, "to": to, "budget": budget, "histograms": histograms, "expect_no_grad": expect_no_grad}
    for name, value in options.items():
        if isinstance(value, (nn.Module, torch.Tensor)):
            raise GradscopeError(
                f"{name!r} is an option of watch(): give a model of that name in a dict, {{{name!r}: model}}"
            )
    if not given:
        raise GradscopeError("nothing to watch: call watch(encoder=encoder, decoder=decoder)")
    found = dict(given)
    if len(found) < len(given):
        twice = next(name for name in found if sum(name == other for other, _ in given) > 1)
        theirs = [model for name, model in given if name == twice]
        if all(model is theirs[0] for model in theirs):
            raise NameClashError(f"{twice!r} is given twice: once is enough")
        raise NameClashError(f"two models are named {twice!r}: give each its own name")
    return Scope(found, every=every, expect_no_grad=expect_no_grad, budget=budget, to=to, histograms=histograms)


def report(*, ranks: bool = False, timeout: float = 30.0) -> Report:
    """The report of the scope opened last, with `ranks` of all processes (see Scope.report).

    Raises NothingWatchedError if none was.
    """
    return _last().report(ranks=ranks, timeout=timeout)


def assert_flow(*, allow: Iterable[str] = (), warnings: bool = False) -> None:
    """Raise GradientFlowError if a model of the scope opened last does not receive the gradient it should."""
    _last().assert_flow(allow=allow, warnings=warnings)


def graph(loss: torch.Tensor, /, *, depth: int = 2, detail: str = "modules", **models: Model | nn.Module) -> Drawing:
    """The autograd graph of one live loss: what of `models` it reaches, folded to `depth` levels of module names.

    In a watched loop, between `loss.backward()` and the step of the optimizer, it tells what `.grad` holds.
    `detail="ops"` draws every single operation, with the parameters by their names. Where values went on behind a cut,
    and the line of the cut, no live loss can tell: `report.graph()` and `gradscope.explain` do.

    Raises GradscopeError for another detail, a depth below 0, a loss that is no tensor, and what is no model.
    """
    from gradscope.capture.sharding import stand_ins
    from gradscope.render.livegraph import live_graph
    from gradscope.render.opgraph import op_graph

    if not isinstance(loss, torch.Tensor):
        raise GradscopeError(f"cannot draw what leads to a {type(loss).__name__}: the loss has to be a tensor")
    models = {name: m if isinstance(m, nn.Module) else dict(tensors_of(name, m)) for name, m in models.items()}
    if detail == "ops":
        return op_graph(loss, models, _held_norms)
    if detail != "modules":
        raise GradscopeError(f"detail={detail!r} makes no sense: it is 'modules' or 'ops'")
    return live_graph(loss, models, depth, _held_norms, stand_ins(models.values()))


def _held_norms(leaves: Sequence[torch.Tensor]) -> dict[int, float]:
    """By id the norms of what the last backward left, as the first scope says that watched it."""
    from gradscope.capture.held import held_norms

    open_ = [scope for ref in _scopes if (scope := ref()) is not None]
    return next((held for scope in open_ if (held := held_norms(scope._capture, leaves))), {})


def _last() -> Scope:
    gone = bool(_scopes)
    while _scopes:
        scope = _scopes[-1]()
        if scope is not None:
            return scope
        _scopes.pop()
    if gone:
        raise NothingWatchedError(
            "nothing is watched any more: the scope was let go, and watching ended with it; "
            "keep it until the report: scope = gradscope.watch(encoder=encoder, ...)"
        )
    raise NothingWatchedError("nothing is watched: call gradscope.watch(encoder=encoder, ...) before the training loop")


def explain(
    step: Callable[..., Any], *args: Any, repeat: int = 4, models: Mapping[str, Model] | None = None, **named: Any
) -> Report:
    """Run a training step a few times, traced, and report; nothing stays attached.

    Keyword arguments that are modules name the models; all others are passed on to `step`. A module as `step`, or
    nothing that can be called, raises GradscopeError.
    """
    if isinstance(step, nn.Module) or not callable(step):
        raise GradscopeError(
            "explain() runs a training step and needs a function that does one, with its backward() and optimizer:"
            " gradscope.explain(step, encoder=encoder, decoder=decoder)"
        )
    chosen = dict(models or {})
    chosen |= {k: v for k, v in named.items() if isinstance(v, nn.Module) and k not in arguments_of(step)}
    rest = {k: v for k, v in named.items() if k not in chosen}
    scope = Scope(chosen)
    try:
        scope._capture.whole = True
        scope._capture.start_tracing()
        for _ in range(repeat):
            step(*args, **rest)
        return scope.report()
    finally:
        scope.close()
