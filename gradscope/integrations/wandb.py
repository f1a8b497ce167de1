"""Weights & Biases: norms and histograms as metrics of a run, findings as its summary and as text.

The keys carry the names of the models, so two models in one run do not overwrite each other. The gradscope step is
logged as `gradscope/step` and is the axis of its charts. A row of wandb's history holds one value per key, so what is
written is a row of its own; wandb's own step counts these rows with those of the user.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gradscope.integrations.sink import Buckets

STEP = "gradscope/step"


class WandbSink:
    """`attach_sink(scope, WandbSink(run))` with the run that `wandb.init()` returned.

    wandb ignores rows whose step is behind its own. If you number yours with `run.log(..., step=)` and count more
    slowly than what is written here, such as epochs, give `commit=False`: it then becomes part of your next row, and of
    what is written between two of them the last is kept.
    """

    def __init__(self, run: Any, *, commit: bool = True) -> None:
        self._run, self._commit = run, commit
        run.define_metric("gradscope/*", step_metric=STEP)

    def write(
        self, step: int, scalars: Mapping[str, float], texts: Mapping[str, str], histograms: Mapping[str, Buckets]
    ) -> None:
        from numpy import asarray
        from wandb import Histogram, Html

        drawn = {key: Histogram(np_histogram=(asarray(h.counts), asarray(h.edges))) for key, h in histograms.items()}
        written = {key: Html(f"<pre>{_escaped(text)}</pre>", inject=False) for key, text in texts.items()}
        self._run.log({STEP: step, **scalars, **drawn, **written}, commit=self._commit)
        for key, text in texts.items():
            self._run.summary[f"{key}_text"] = text


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")
