"""MLflow: norms as metrics of the active run, findings as a text artifact per change. It has no histograms."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gradscope.integrations.sink import Buckets


class MlflowSink:
    """`attach_sink(scope, MlflowSink())` inside `mlflow.start_run()`."""

    def __init__(self, run_id: str | None = None) -> None:
        """Write to this run; by default to the one that is active at each step."""
        self._run_id = run_id

    def write(
        self,
        step: int,
        scalars: Mapping[str, float],
        texts: Mapping[str, str],
        histograms: Mapping[str, Buckets],
    ) -> None:
        import mlflow

        if scalars:
            mlflow.log_metrics(dict(scalars), step=step, run_id=self._run_id)
        for key, text in texts.items():
            mlflow.log_text(text, f"{key}/step{step:08}.md", run_id=self._run_id)
