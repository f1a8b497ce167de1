"""Who watches in benchmarks/overhead.py: nobody, the physical floor, gradscope, and what else people use.

Each is a context in which a training step runs; it yields what to do after a backward pass and before a step, and
`turn` to do after it. Those that need a package that is not there say so.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from workloads import Training

import gradscope


def _nothing() -> None: ...


@dataclass(frozen=True)
class Looks:
    """What is done around one turn of the loop."""

    after_backward: Callable[[], None] = _nothing
    before_step: Callable[[], None] = _nothing
    before: Callable[[], None] = _nothing
    after: Callable[[], None] = _nothing


Watching = Iterator[Looks]


def _plain(_: Training) -> Watching:
    yield Looks()


def _floor(training: Training) -> Watching:
    parameters = training.parameters()

    def measure() -> None:
        torch._foreach_norm([p.grad for p in parameters if p.grad is not None])

    yield Looks(after_backward=measure)


def _hooks(training: Training) -> Watching:
    """A hook on every parameter that notes its number: without it nobody knows who received a gradient."""
    noted: list[int] = []
    handles = [
        p.register_post_accumulate_grad_hook(lambda _, number=number: noted.append(number))
        for number, p in enumerate(training.parameters())
    ]
    yield Looks(after_backward=noted.clear)
    for handle in handles:
        handle.remove()


def _gradscope(training: Training, **options: Any) -> Watching:
    with gradscope.watch(training.models, **options) as scope:
        scope._capture.watcher.budget.free = 0.0  # as it is when the free half second is used up
        yield Looks()


def _with_file(training: Training, **options: Any) -> Watching:
    with tempfile.TemporaryDirectory() as folder:
        yield from _gradscope(training, to=f"{folder}/run.gradscope", **options)


def _tracing(training: Training) -> Watching:
    """What `gradscope run` does in the first steps and watch() in a suspicious one: every step on a tape of its own."""
    from gradscope.capture.capture import Capture

    capture = Capture()
    for name, model in training.models.items():
        capture.registry.add_model(name, model)
    capture.open()

    def after() -> None:
        capture.stop_tracing()
        capture.tape = None

    yield Looks(before=capture.start_tracing, after=after)
    capture.close()


def _naive(training: Training) -> Watching:
    parameters = training.parameters()

    def measure() -> None:
        [float(p.grad.norm()) for p in parameters if p.grad is not None]

    yield Looks(before_step=measure)


def _lightning(training: Training) -> Watching:
    from pytorch_lightning.utilities import grad_norm

    yield Looks(before_step=lambda: [grad_norm(model, 2) for model in training.models.values()] and None)


def _wandb(training: Training, frequency: int) -> Watching:
    import wandb

    with tempfile.TemporaryDirectory() as folder:
        settings = wandb.Settings(silent=True, console="off", x_disable_stats=True)
        run = wandb.init(mode="offline", dir=folder, settings=settings)
        run.watch(list(training.models.values()), log="gradients", log_freq=frequency)
        yield Looks(after=lambda: run.log({"step": 1}))
        run.unwatch()
        run.finish()


def _anomaly(_: Training, *, check: bool) -> Watching:
    with torch.autograd.set_detect_anomaly(True, check_nan=check):
        yield Looks()


def _torchlens(training: Training) -> Watching:
    import torchlens

    def trace() -> None:
        for name, model in training.models.items():
            torchlens.trace(model, training.inputs[name])

    yield Looks(before=trace)


@dataclass(frozen=True)
class Watcher:
    """One column of benchmarks."""

    key: str
    title: str
    watching: Callable[[Training], Watching]
    period: int = 1
    """It does in so many steps what it does once: only whole periods are measured."""
    warm: int = 8
    """Steps before it does what it will do for ever."""
    needs: str = ""
    """The package without which it cannot be measured."""

    def around(self, training: Training) -> contextlib.AbstractContextManager[Looks]:
        return contextlib.contextmanager(self.watching)(training)


WATCHERS = (
    Watcher("plain", "plain step itself: the noise", _plain),
    Watcher("floor", "floor: one `_foreach_norm` per backward", _floor),
    Watcher("hooks", "floor: a hook per parameter that notes its number", _hooks),
    Watcher("default", "**gradscope**", _gradscope, warm=40),
    Watcher("every1", "gradscope, every=1, no budget", lambda t: _gradscope(t, budget=None)),
    Watcher("every10", "gradscope, every=10, no budget", lambda t: _gradscope(t, budget=None, every=10), 10),
    Watcher("every100", "gradscope, every=100, no budget", lambda t: _gradscope(t, budget=None, every=100), 100),
    Watcher("file", "gradscope with a run file", _with_file, warm=40),
    Watcher("file1", "gradscope, every=1, with a run file", lambda t: _with_file(t, budget=None)),
    Watcher(
        "histograms", "gradscope, histograms at every 100th", lambda t: _gradscope(t, histograms=100), 100, warm=40
    ),
    Watcher("tracing", "gradscope tracing", _tracing),
    Watcher("naive", "loop over `.grad.norm()`", _naive),
    Watcher("lightning", "Lightning `grad_norm`", _lightning, needs="pytorch_lightning"),
    Watcher("wandb100", "`wandb.watch`, every 100th", lambda t: _wandb(t, 100), 100, needs="wandb"),
    Watcher("wandb1", "`wandb.watch`, every step", lambda t: _wandb(t, 1), needs="wandb"),
    Watcher("anomaly", "anomaly mode", lambda t: _anomaly(t, check=True)),
    Watcher("anomaly-unchecked", "anomaly mode without the check", lambda t: _anomaly(t, check=False)),
    Watcher("torchlens", "`torchlens.trace` of the forward, added", _torchlens, needs="torchlens"),
)
