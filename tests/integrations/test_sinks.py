"""Trackers: what a live scope writes is read back from the tracker's own files."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

import gradscope
from gradscope.integrations.sink import Buckets, attach_sink, buckets, findings_text
from gradscope.records import Histogram

HISTOGRAM = Buckets((-2.0, -1.0, 1.0, 2.0, 4.0), (3, 5, 2, 1))


def train(scope_options=None, steps=5, sink=None, every=1):
    """Two models, of which the encoder is cut off after two steps; everything goes to the sink."""
    encoder, decoder = nn.Linear(4, 3), nn.Linear(3, 1)
    optimizer = torch.optim.SGD([*encoder.parameters(), *decoder.parameters()], 0.1)
    with gradscope.watch({"encoder": encoder, "decoder": decoder}, **(scope_options or {})) as scope:
        finish = attach_sink(scope, sink, every=every)
        for step in range(steps):
            with scope.step():
                optimizer.zero_grad()
                hidden = encoder(torch.ones(2, 4))
                decoder(hidden if step < 2 else hidden.detach()).sum().backward()
                optimizer.step()
        finish()
    return scope


class Collect:
    """A sink that remembers."""

    def __init__(self):
        self.rows = []

    def write(self, step, scalars, texts, histograms):
        self.rows.append((step, dict(scalars), dict(texts), dict(histograms)))


def test_every_step_and_model_is_written():
    sink = Collect()
    train(sink=sink)
    steps = [(step, scalars) for step, scalars, _, _ in sink.rows if scalars]

    assert [step for step, _ in steps] == [0, 1, 2, 3, 4]
    assert {"gradscope/grad_norm/encoder", "gradscope/grad_norm/decoder"} <= steps[0][1].keys()
    assert all(value > 0 for value in steps[0][1].values())


def test_every_nth_step_only():
    sink = Collect()
    train(sink=sink, every=2)

    assert [step for step, scalars, _, _ in sink.rows if scalars] == [0, 2, 4]


def test_findings_are_told_when_the_feed_ends():
    sink = Collect()
    scope = train(sink=sink)
    texts = [texts for _, _, texts, _ in sink.rows if texts]

    assert texts == [{"gradscope/findings": findings_text(scope.report())}]


def test_nothing_is_written_after_the_end():
    sink = Collect()
    train(sink=sink, steps=1)
    finish = attach_sink(gradscope.watch(model=nn.Linear(1, 1)), sink)
    finish()
    written = len(sink.rows)
    finish()

    assert len(sink.rows) == written


def test_buckets_of_a_histogram():
    histogram = Histogram(uid=1, step=0, low=0, negative=(5, 3), positive=(2, 1), zeros=7)

    assert buckets(histogram) == Buckets((-4.0, -2.0, -1.0, 1.0, 2.0, 4.0), (3, 5, 7, 2, 1))


def fill(sink):
    sink.write(
        3, {}, {"gradscope/findings": "- **error** `encoder` a < b & c"}, {"gradscope/gradient/encoder.w": HISTOGRAM}
    )


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from torch.utils.tensorboard import SummaryWriter

    from gradscope.integrations.tensorboard import TensorBoardSink

    with SummaryWriter(str(tmp_path)) as writer:
        sink = TensorBoardSink(writer)
        train(sink=sink)
        fill(sink)
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    (histogram,) = events.Histograms("gradscope/gradient/encoder.w")

    assert [event.step for event in events.Scalars("gradscope/grad_norm/decoder")] == [0, 1, 2, 3, 4]
    assert events.Scalars("gradscope/grad_norm/decoder")[0].value > 0
    assert list(histogram.histogram_value.bucket) == [3, 5, 2, 1]
    assert list(histogram.histogram_value.bucket_limit) == [-1.0, 1.0, 2.0, 4.0]
    assert "gradscope/findings/text_summary" in events.Tags()["tensors"]


@pytest.mark.filterwarnings("ignore")
def test_wandb_offline(tmp_path, monkeypatch):
    wandb = pytest.importorskip("wandb")
    from gradscope.integrations.wandb import WandbSink

    monkeypatch.setenv("WANDB_SILENT", "true")
    run = wandb.init(project="p", mode="offline", dir=str(tmp_path), settings=wandb.Settings(console="off"))
    logged = []
    original = run.log
    monkeypatch.setattr(run, "log", lambda data, **options: logged.append(data) or original(data, **options))
    sink = WandbSink(run)
    train(sink=sink)
    fill(sink)
    summary = dict(run.summary)
    run.finish()

    assert [row["gradscope/step"] for row in logged if "gradscope/grad_norm/encoder" in row] == [0, 1, 2, 3, 4]
    assert "a < b" in summary["gradscope/findings_text"]
    assert list(logged[-1]["gradscope/gradient/encoder.w"].histogram) == [3, 5, 2, 1]
    assert list(tmp_path.glob("wandb/offline-run-*/*.wandb"))


@pytest.mark.filterwarnings("ignore")
def test_mlflow(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    from gradscope.integrations.mlflow import MlflowSink

    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow.set_tracking_uri(tmp_path.as_uri())
    mlflow.set_experiment("p")
    with mlflow.start_run() as active:
        sink = MlflowSink()
        train(sink=sink)
        fill(sink)
    client = mlflow.MlflowClient()
    history = client.get_metric_history(active.info.run_id, "gradscope/grad_norm/decoder")

    assert [metric.step for metric in history] == [0, 1, 2, 3, 4]
    assert next(tmp_path.rglob("step00000003.md")).read_text().startswith("- **error**")


@pytest.mark.filterwarnings("ignore")
def test_trackio(tmp_path, monkeypatch):
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path))
    trackio = pytest.importorskip("trackio")
    from trackio import sqlite_storage

    from gradscope.integrations.trackio import TrackioSink

    monkeypatch.setattr(sqlite_storage, "TRACKIO_DIR", tmp_path)
    run = trackio.init(project="p", name="r", embed=False, auto_log_gpu=False, auto_log_cpu=False)
    sink = TrackioSink(run)
    train(sink=sink)
    fill(sink)
    trackio.finish()
    rows = sqlite_storage.SQLiteStorage.get_logs("p", "r")

    assert [row["step"] for row in rows if "gradscope/grad_norm/decoder" in row] == [0, 1, 2, 3, 4]
    assert "gradscope/gradient/encoder.w" in json.dumps(rows[-1])
