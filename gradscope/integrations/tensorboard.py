"""TensorBoard: norms, findings and histograms into a `SummaryWriter`."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch.utils.tensorboard import SummaryWriter

    from gradscope.integrations.sink import Buckets


class TensorBoardSink:
    """`attach_sink(scope, TensorBoardSink(writer))`; the writer stays yours, flush and close it as ever."""

    def __init__(self, writer: SummaryWriter) -> None:
        self._writer = writer

    def write(
        self, step: int, scalars: Mapping[str, float], texts: Mapping[str, str], histograms: Mapping[str, Buckets]
    ) -> None:
        for key, value in scalars.items():
            self._writer.add_scalar(key, value, step)
        for key, text in texts.items():
            self._writer.add_text(key, text, step)
        for key, histogram in histograms.items():
            self._histogram(key, histogram, step)

    def _histogram(self, key: str, histogram: Buckets, step: int) -> None:
        edges, counts = histogram.edges, histogram.counts
        middles = [(low + high) / 2 for low, high in itertools.pairwise(edges)]
        self._writer.add_histogram_raw(
            key,
            min=edges[0],
            max=edges[-1],
            num=sum(counts),
            sum=sum(count * middle for count, middle in zip(counts, middles, strict=True)),
            sum_squares=sum(count * middle**2 for count, middle in zip(counts, middles, strict=True)),
            # TensorBoard names a bucket by its upper edge and starts the first one at minus infinity.
            bucket_limits=list(edges[1:]),
            bucket_counts=list(counts),
            global_step=step,
        )
