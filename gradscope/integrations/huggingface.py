"""Hugging Face Trainer: a callback that watches the models inside the trained model.

A step is what the Trainer calls one: all accumulated batches and the optimizer's step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback
from transformers.utils import logging

from gradscope.integrations.models import models_inside
from gradscope.integrations.sink import attach_sink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from gradscope.integrations.sink import Sink
    from gradscope.report import Report
    from gradscope.scope import Scope


class GradscopeCallback(TrainerCallback):  # type: ignore[misc, unused-ignore]
    """`Trainer(callbacks=[GradscopeCallback()])`; afterwards `callback.report`.

    `sink` takes the norms (a tracker of `gradscope.integrations`). `strict` raises GradientFlowError at the end of a
    training in which a model did not learn. All other options are those of `gradscope.watch`.
    """

    def __init__(
        self, *, sink: Sink | None = None, strict: bool = False, expect_no_grad: Iterable[str] = (), **options: Any
    ) -> None:
        self.scope: Scope | None = None
        self.report: Report | None = None
        self._sink, self._strict = sink, strict
        self._options = {"expect_no_grad": tuple(expect_no_grad), **options}
        self._finish: Callable[[], None] | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        from gradscope.scope import watch

        self.scope = watch(models_inside(model), **self._options)
        self._finish = attach_sink(self.scope, self._sink) if self._sink is not None else None

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self.scope is not None:
            with self.scope.step():  # Marks its end.
                pass

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self.scope is None:
            return
        self.report = self.scope.report()
        if self._finish is not None:
            self._finish()
        self.scope.close()
        self.scope = None
        if state.is_world_process_zero and not self.report.ok:
            logging.get_logger("transformers.gradscope").warning("%s", self.report)
        if self._strict:
            self.report.assert_flow()
