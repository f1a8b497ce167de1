"""trackio: norms, findings and histograms into the current trackio run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gradscope.integrations.sink import Buckets


class TrackioSink:
    """`attach_sink(scope, TrackioSink(run))` with the run that `trackio.init()` returned."""

    def __init__(self, run: Any) -> None:
        self._run = run

    def write(
        self, step: int, scalars: Mapping[str, float], texts: Mapping[str, str], histograms: Mapping[str, Buckets]
    ) -> None:
        from trackio import Histogram, Markdown

        drawn = {key: Histogram(np_histogram=(list(h.counts), list(h.edges))) for key, h in histograms.items()}
        written = {key: Markdown(text) for key, text in texts.items()}
        self._run.log({**scalars, **drawn, **written}, step=step)
