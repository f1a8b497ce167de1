"""Trackers: what a live scope writes is read back from the tracker's own files."""

from __future__ import annotations

import json
import struct

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


def test_a_model_without_a_gradient_has_no_point():
    sink = Collect()
    train(sink=sink)

    assert [step for step, scalars, _, _ in sink.rows if "gradscope/grad_norm/encoder" in scalars] == [0, 1]
    assert [step for step, scalars, _, _ in sink.rows if "gradscope/grad_norm/decoder" in scalars] == [0, 1, 2, 3, 4]


def test_what_was_not_measured_at_the_nth_step_is_written_when_it_is():
    sink = Collect()
    train({"every": 3}, steps=10, sink=sink, every=2)

    assert [step for step, scalars, _, _ in sink.rows if "gradscope/grad_norm/decoder" in scalars] == [0, 3, 6, 9]


def test_an_update_is_written_where_it_was_measured(monkeypatch):
    from gradscope.capture import stepping

    monkeypatch.setattr(stepping, "FIRST", 1)
    monkeypatch.setattr(stepping, "THEN", 4)
    monkeypatch.setattr("gradscope.capture.marked.Marked.begin", lambda self, whole=False: None)  # nor traced
    sink = Collect()
    train(steps=10, sink=sink)

    assert [step for step, scalars, _, _ in sink.rows if "gradscope/update_ratio/decoder" in scalars] == [0, 4, 8]


def test_findings_are_told_when_the_feed_ends():
    sink = Collect()
    scope = train(sink=sink)
    texts = [texts for _, _, texts, _ in sink.rows if texts]

    assert texts == [{"gradscope/findings": findings_text(scope.report())}]


def test_the_same_findings_are_told_once_though_their_counts_grow():
    sink = Collect()
    encoder, decoder = nn.Linear(4, 3), nn.Linear(3, 1)
    with gradscope.watch({"encoder": encoder, "decoder": decoder}) as scope:
        finish = attach_sink(scope, sink, diagnose_every=2)
        for step in range(12):
            with scope.step():
                hidden = encoder(torch.ones(2, 4))
                decoder(hidden if step < 6 else hidden.detach()).sum().backward()
        finish()
    told = [(step, texts["gradscope/findings"]) for step, _, texts, _ in sink.rows if texts]

    assert told[0] == (1, "no findings") or "GS" in told[0][1]
    assert len({text for _, text in told}) == len(told)
    assert len(told) <= 4  # at first, when the encoder stopped, and the last counts


@pytest.mark.parametrize(("options", "steps"), [({"histograms": 3}, {0, 3, 6, 9}), ({}, {3, 7, 9})])
def test_histograms_stand_at_the_step_they_were_counted_in(options, steps):
    sink = Collect()
    decoder = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(decoder.parameters(), 0.1)
    with gradscope.watch({"decoder": decoder}, **options) as scope:
        finish = attach_sink(scope, sink, diagnose_every=4)
        for _ in range(10):
            with scope.step():
                optimizer.zero_grad()
                decoder(torch.ones(2, 4)).sum().backward()
                optimizer.step()
        finish()
    drawn = [step for step, _, _, histograms in sink.rows if "gradscope/gradient/decoder.weight" in histograms]

    assert set(drawn) == steps
    assert len(drawn) == len(steps)


def test_a_tracker_that_fails_ends_the_feed_and_not_the_training():
    class Full(Collect):
        def write(self, step, *given):
            if step == 2:
                raise OSError("no space left on device")
            super().write(step, *given)

    sink = Full()
    with pytest.warns(gradscope.errors.ProbeWarning, match="Full failed at step 2 .* no space left") as said:
        scope = train(sink=sink)

    assert scope.report().run.steps == 5
    assert len(said) == 1
    assert {step for step, *_ in sink.rows} == {0, 1}


def test_nothing_is_written_after_the_end():
    sink = Collect()
    train(sink=sink, steps=1)
    with gradscope.watch(model=nn.Linear(1, 1)) as scope:
        finish = attach_sink(scope, sink)
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


@pytest.fixture
def wandb_run(tmp_path, monkeypatch):
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_SILENT", "true")
    yield wandb.init(project="p", mode="offline", dir=str(tmp_path), settings=wandb.Settings(console="off"))
    wandb.teardown()


def records(data, block=32768):
    """The records of an offline file: a LevelDB log behind a header of seven bytes."""
    at, record = 7, b""
    while at + 7 <= len(data):
        if block - at % block < 7:
            at += block - at % block
            continue
        _, size, kind = struct.unpack_from("<IHB", data, at)
        part, at = data[at + 7 : at + 7 + size], at + 7 + size
        record = part if kind in (WHOLE, FIRST) else record + part
        if kind in (WHOLE, LAST):
            yield record


WHOLE, FIRST, LAST = 1, 2, 4


def stored(directory):
    """The rows of the history and the last summary in the file of a finished offline run."""
    import wandb
    from wandb.proto.wandb_internal_pb2 import Record

    wandb.teardown()  # which waits until all is written
    (path,) = directory.glob("wandb/offline-run-*/run-*.wandb")
    rows, summary = [], {}
    for record in map(Record.FromString, records(path.read_bytes())):
        items = {"history": record.history.item, "summary": record.summary.update}
        kind = record.WhichOneof("record_type")
        held = {i.key or "/".join(i.nested_key): json.loads(i.value_json) for i in items.get(kind, ())}
        if kind == "history":
            rows.append(held)
        summary |= held
    return rows, summary


@pytest.mark.filterwarnings("ignore")
def test_wandb_offline(tmp_path, wandb_run):
    from gradscope.integrations.wandb import WandbSink

    sink = WandbSink(wandb_run)
    train(sink=sink)
    fill(sink)
    wandb_run.finish()
    rows, summary = stored(tmp_path)

    key = "gradscope/grad_norm/decoder"
    assert [row["gradscope/step"] for row in rows if key in row] == [0, 1, 2, 3, 4]
    assert "a < b" in summary["gradscope/findings_text"]
    assert rows[-1]["gradscope/gradient/encoder.w/values"] == [3, 5, 2, 1]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("every", [1, 3])
def test_wandb_keeps_every_point_and_the_rows_of_the_user(every, tmp_path, wandb_run):
    from gradscope.integrations.wandb import WandbSink

    class AndMine(WandbSink):
        def write(self, step, *given):
            super().write(step, *given)
            if step % every == 0:
                wandb_run.log({"loss": step})

    train(steps=8, sink=AndMine(wandb_run))
    wandb_run.finish()
    rows, _ = stored(tmp_path)

    key = "gradscope/grad_norm/decoder"
    assert [row["gradscope/step"] for row in rows if key in row] == list(range(8))
    assert [row["loss"] for row in rows if "loss" in row][: 8 // every] == list(range(0, 8, every))[: 8 // every]
    assert [row["_step"] for row in rows] == list(range(len(rows)))


@pytest.mark.filterwarnings("ignore")
def test_wandb_rows_that_the_user_numbers_stay_as_they_are(tmp_path, wandb_run):
    from gradscope.integrations.wandb import WandbSink

    sink = WandbSink(wandb_run, commit=False)
    for epoch in range(3):
        for batch in range(4):
            sink.write(4 * epoch + batch, {"gradscope/grad_norm/decoder": 1.0}, {}, {})
        wandb_run.log({"loss": epoch}, step=epoch)
    wandb_run.finish()
    rows, _ = stored(tmp_path)

    assert [(row["_step"], row["loss"]) for row in rows] == [(0, 0), (1, 1), (2, 2)]


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
