"""PyTorch Lightning: a callback that watches the models inside a LightningModule.

A step is a batch at whose end the trainer's `global_step` has moved, so accumulated batches belong to one step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gradscope.integrations.models import models_inside
from gradscope.integrations.sink import attach_sink, scalars

try:
    # Two distributions of the same code; their classes are not interchangeable.
    from lightning.pytorch import Callback, LightningModule, Trainer
except ImportError:
    from pytorch_lightning import Callback, LightningModule, Trainer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from gradscope.integrations.sink import Sink
    from gradscope.report import Report
    from gradscope.scope import Scope, StepSummary


class GradscopeCallback(Callback):  # type: ignore[misc, unused-ignore]
    """`Trainer(callbacks=[GradscopeCallback()])`; afterwards `callback.report`.

    Norms go to the trainer's logger unless `log=False`. `strict` raises GradientFlowError at the end of a fit in which
    a model did not learn. All other options are those of `gradscope.watch`.
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
        self._latest: StepSummary | None = None
        self._finish: Callable[[], None] | None = None
        self._global_step = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Not at `on_fit_start`: sharding strategies replace the parameters after it."""
        from gradscope.scope import watch

        self.scope = watch(models_inside(pl_module), **self._options)
        self.scope.on_step(self._keep)
        self._global_step = trainer.global_step
        self._finish = attach_sink(self.scope, self._sink) if self._sink is not None else None

    def _keep(self, summary: StepSummary) -> None:
        self._latest = summary

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any, **__: Any) -> None:
        if self.scope is not None and trainer.global_step != self._global_step:
            self._global_step = trainer.global_step
            with self.scope.step():  # Marks its end.
                pass
        if self._latest is not None and self._log and trainer.loggers:
            pl_module.log_dict(scalars(self._latest), on_step=True, on_epoch=False)
            self._latest = None

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
        if self._finish is not None:
            self._finish()
        self.scope.close()
        self.scope = None
        return self.report
