"""Weights & Biases: norms and histograms as metrics of a run, findings as its summary and as text.

The keys carry the names of the models, so two models in one run do not overwrite each other. The gradscope step is
logged as `gradscope/step` and is the axis of its charts: the run's own step counts the user's `wandb.log` calls.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gradscope.integrations.sink import Buckets

STEP = "gradscope/step"


class WandbSink:
    """`attach_sink(scope, WandbSink(run))` with the run that `wandb.init()` returned."""

    def __init__(self, run: Any) -> None:
        self._run = run
        run.define_metric("gradscope/*", step_metric=STEP)

    def write(
        self, step: int, scalars: Mapping[str, float], texts: Mapping[str, str], histograms: Mapping[str, Buckets]
    ) -> None:
        from numpy import asarray
        from wandb import Histogram, Html

        drawn = {key: Histogram(np_histogram=(asarray(h.counts), asarray(h.edges))) for key, h in histograms.items()}
        written = {key: Html(f"<pre>{_escaped(text)}</pre>", inject=False) for key, text in texts.items()}
        # Not committed: it becomes part of the user's next `log`, and his step numbers stay as they were.
        self._run.log({STEP: step, **scalars, **drawn, **written}, commit=False)
        for key, text in texts.items():
            self._run.summary[f"{key}_text"] = text


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")
