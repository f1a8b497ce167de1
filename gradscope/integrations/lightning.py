"""PyTorch Lightning: a callback that watches the models inside a LightningModule.

A step is a batch at whose end the trainer's `global_step` has moved, so accumulated batches belong to one step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gradscope.integrations.models import models_inside
from gradscope.integrations.sink import attach_sink

try:
    # Two distributions of the same code; their classes are not interchangeable.
    from lightning.pytorch import Callback, LightningModule, Trainer
except ImportError:
    from pytorch_lightning import Callback, LightningModule, Trainer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from gradscope.integrations.sink import Buckets, Sink
    from gradscope.report import Report
    from gradscope.scope import Scope


class GradscopeCallback(Callback):  # type: ignore[misc, unused-ignore]
    """`Trainer(callbacks=[GradscopeCallback()])`; afterwards `callback.report`.

    Norms go to the trainer's loggers every `log_every_n_steps` unless `log=False`. `strict` raises GradientFlowError at
    the end of a fit in which a model did not learn. All other options are those of `gradscope.watch`.
    """

    def __init__(
        self,
        *,
        log: bool = True,
        strict: bool = False,
        sink: Sink | None = None,
        expect_no_grad: Iterable[str] = (),
        **options: Any,
    ) -> None:
        self.scope: Scope | None = None
        self.report: Report | None = None
        self._log, self._strict, self._sink = log, strict, sink
        self._options = {"expect_no_grad": tuple(expect_no_grad), **options}
        self._finish: list[Callable[[], None]] = []
        self._global_step = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Not at `on_fit_start`: sharding strategies replace the parameters after it."""
        from gradscope.scope import watch

        self.scope = watch(models_inside(pl_module), **self._options)
        self._global_step = trainer.global_step
        self._finish.clear()
        if self._log and trainer.loggers and trainer.log_every_n_steps:
            sink = LoggerSink(trainer)
            self._finish.append(attach_sink(self.scope, sink, every=trainer.log_every_n_steps, diagnose_every=0))
        if self._sink is not None:
            self._finish.append(attach_sink(self.scope, self._sink))

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any, **__: Any) -> None:
        if self.scope is not None and trainer.global_step != self._global_step:
            self._global_step = trainer.global_step
            with self.scope.step():  # Marks its end.
                pass

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        report = self._close()
        if report is not None and not report.ok:
            trainer.print(str(report))
        if report is not None and self._strict:
            report.assert_flow()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._close()

    def _close(self) -> Report | None:
        if self.scope is None:
            return self.report
        self.report = self.scope.report()
        for finish in self._finish:
            finish()
        self.scope.close()
        self.scope = None
        return self.report


class LoggerSink:
    """The loggers of a trainer. They take numbers only.

    `self.log` would write under the step that runs, and again at later steps what was not measured in them.
    """

    def __init__(self, trainer: Trainer) -> None:
        self._trainer, self._begun = trainer, trainer.global_step

    def write(
        self, step: int, scalars: Mapping[str, float], texts: Mapping[str, str], histograms: Mapping[str, Buckets]
    ) -> None:
        if scalars:
            for logger in self._trainer.loggers:
                logger.log_metrics(dict(scalars), step=self._begun + step)
