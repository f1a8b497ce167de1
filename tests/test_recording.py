"""Facts go to disk while training runs: what is there after a kill, and that writing never stops the training."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path

import pytest
import torch
from torch import nn

import gradscope
from gradscope import recording, runfile
from gradscope.errors import GradscopeError, MissingExtraError, RunFileError
from gradscope.report import Report
from gradscope.runfile import read_run
from gradscope.runfile.reader import open_run
from gradscope.session import Session
from gradscope.tallies import Recount

ROOT = Path(__file__).parents[1]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "NO_COLOR": "1"}
MODELS = """
import sys, time, torch, gradscope
from torch import nn
torch.manual_seed(0)
encoder, decoder = nn.Linear(4, 3), nn.Linear(3, 1)
optimizer = torch.optim.SGD([*encoder.parameters(), *decoder.parameters()], lr=0.01)
def train():
    optimizer.zero_grad()
    decoder(encoder(torch.randn(2, 4)).detach()).square().mean().backward()
    optimizer.step()
"""
EXPLICIT = """
scope = gradscope.watch(encoder=encoder, decoder=decoder, to="run.gradscope")
for step in range(STEPS):
    with scope.step():
        train()
"""
PLAIN = """
scope = gradscope.watch(encoder=encoder, decoder=decoder, to="run.gradscope")
for step in range(STEPS):
    train()
"""
SCRIPT = """
for step in range(STEPS):
    train()
"""
UNTIL_SETTLED = 102
"""Steps that `gradscope run` traces of this loop: 100 in which nothing new turned up, after two that had news."""
WAIT = "print('ready', flush=True)\ntime.sleep(60)\n"


class Loop:
    """Two models, one of them cut off."""

    def __init__(self):
        torch.manual_seed(0)
        self.encoder, self.decoder = nn.Linear(4, 3), nn.Linear(3, 1)
        self.optimizer = torch.optim.SGD([*self.encoder.parameters(), *self.decoder.parameters()], lr=0.01)

    def turn(self):
        self.optimizer.zero_grad()
        self.decoder(self.encoder(torch.randn(2, 4)).detach()).square().mean().backward()
        self.optimizer.step()


def killed(folder: Path, code: str, *command: str) -> None:
    """Run a script until it says that it is ready, and kill it."""
    (folder / "train.py").write_text(textwrap.dedent(code), encoding="utf-8")
    with subprocess.Popen(
        [sys.executable, *command, "train.py"], cwd=folder, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout.readline() == "ready\n"
        finally:
            process.send_signal(signal.SIGKILL)


@pytest.mark.parametrize("explicit", [True, False])
@pytest.mark.parametrize("steps", [1, 7, 450])
def test_watched_run_comes_back_as_it_was(tmp_path, explicit, steps):
    loop = Loop()
    with gradscope.watch(encoder=loop.encoder, decoder=loop.decoder, to=tmp_path / "run.gradscope") as scope:
        for _ in scope.steps(range(steps)) if explicit else range(steps):
            loop.turn()
    opened = open_run(tmp_path / "run.gradscope")
    assert opened.finished
    run, back = scope.report().run, opened.run
    assert (back.steps, back.backwards) == (steps, steps)
    # the log in memory drops old events of a long run, the file does not
    kept = {event.clock for event in run.events}
    assert tuple(event for event in back.events if event.clock in kept) == run.events
    # the share of time that is told in a note depends on when it is asked for
    rest = {"events": (), "between": (), "notes": ()}
    assert dataclasses.replace(back, **rest) == dataclasses.replace(run, **rest)
    assert len(back.notes) == len(run.notes)
    assert Report(back).findings == scope.report().findings


@pytest.mark.parametrize("trace", [True, False])
def test_session_comes_back_as_it_was(tmp_path, trace):
    with Session(to=tmp_path / "run.gradscope", trace=trace) as session:
        loop = Loop()
        for _ in range(6):
            loop.turn()
        session.read_namespace(vars(loop))
    assert read_run(tmp_path / "run.gradscope") == session.report().run


@pytest.mark.parametrize(
    ("loop", "command"), [(EXPLICIT, ()), (PLAIN, ()), (SCRIPT, ("-m", "gradscope", "run", "--out", "run.gradscope"))]
)
@pytest.mark.parametrize("steps", [3, 230])
def test_killed_run_holds_all_completed_steps(tmp_path, loop, command, steps):
    killed(tmp_path, MODELS + loop.replace("STEPS", str(steps)) + WAIT, *command)
    opened = open_run(tmp_path / "run.gradscope")

    assert not opened.finished
    assert (opened.run.steps, opened.run.backwards) == (steps, steps)
    assert [event.step for event in opened.run.step_events] == list(range(steps))
    assert opened.run.traced == {EXPLICIT: 1, PLAIN: 0, SCRIPT: min(steps, UNTIL_SETTLED)}[loop]
    assert {model.name for model in opened.run.models} == {"encoder", "decoder"}
    report = Report(opened.run)
    assert {model.name: model.state.value for model in report.models} == {"encoder": "none", "decoder": "flowing"}
    decoder = next(model for model in opened.run.models if model.name == "decoder")
    assert [opened.run.tallies[uid].backwards for uid in decoder.parameters] == [steps, steps]
    assert [opened.run.tallies[uid].steps for uid in decoder.parameters] == [steps, steps]
    assert {finding.code for finding in report.findings} == {"GS101"}, str(report)


BUILT_BEFORE = """
import os, signal, torch, gradscope
torch.manual_seed(0)
encoder, decoder = torch.nn.Linear(4, 3), torch.nn.Linear(3, 1)
optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()])
scope = gradscope.watch(encoder=encoder, decoder=decoder, to="run.gradscope")
for number in scope.steps(range(1000)):
    if number == 40:
        os.kill(os.getpid(), signal.SIGKILL)
    optimizer.zero_grad()
    decoder(encoder(torch.randn(8, 4))).square().mean().backward()
    optimizer.step()
"""


def test_a_killed_run_whose_optimizer_was_written_down_before_it_stepped_is_healthy(tmp_path):
    subprocess.run([sys.executable, "-c", BUILT_BEFORE], cwd=tmp_path, env=ENVIRONMENT, check=False)
    report = Report(read_run(tmp_path / "run.gradscope"))

    assert (report.run.steps, report.findings) == (40, ())
    assert [optimizer.steps for optimizer in report.run.optimizers] == [40]
    assert "applied" not in str(report)


def test_snapshots_count_what_was_handed_over(tmp_path, monkeypatch):
    """At every snapshot the tallies are those of the events before it."""
    monkeypatch.setattr(recording, "RENEW_EVERY", 3)
    monkeypatch.setattr(recording, "PATIENCE", 0)
    monkeypatch.setattr(recording, "JOIN_PATIENCE", 0)
    loop, events, checked = Loop(), [], []

    class Writer:
        failure = None

        def __init__(self, path):
            pass

        def begin(self, run):
            assert not run.tallies

        def events(self, step, more):
            events.extend(more)

        def snapshot(self, run):
            recount = Recount({}, run.parameters, run.optimizers)
            recount.add(events)
            for uid, tally in recount.tallies().items():
                if uid > 3:
                    continue  # joined later: a recount from the start takes it for one that was always there
                assert run.tallies[uid].backwards == tally.backwards
                assert run.tallies[uid].steps == tally.steps
            checked.append(len(events))

        def finish(self, run):
            self.snapshot(run)

        def close(self):
            pass

    monkeypatch.setattr(runfile, "RunWriter", Writer)
    with gradscope.watch(encoder=loop.encoder, decoder=loop.decoder, to=tmp_path / "x") as scope:
        for turn in range(20):
            loop.turn()
            if turn == 10:
                loop.optimizer.add_param_group({"params": [nn.Parameter(torch.ones(2))]})
                scope.add(late=nn.Linear(2, 2))

    assert len(checked) > 5
    clocks = [event.clock for event in events]
    assert clocks == sorted(set(clocks))
    assert len(clocks) == len(scope.report().run.events)


def test_scope_that_is_never_closed_is_finished_at_exit(tmp_path):
    (tmp_path / "train.py").write_text(MODELS + PLAIN.replace("STEPS", "5"), encoding="utf-8")
    subprocess.run([sys.executable, "train.py"], cwd=tmp_path, env=ENVIRONMENT, check=True)
    opened = open_run(tmp_path / "run.gradscope")
    assert opened.finished
    assert opened.run.steps == 5


def test_run_out_writes_the_file_once(tmp_path):
    (tmp_path / "train.py").write_text(MODELS + SCRIPT.replace("STEPS", "5"), encoding="utf-8")
    command = [sys.executable, "-m", "gradscope", "run", "--out", "run.gradscope", "train.py"]
    first = subprocess.run(command, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, check=True)

    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["run.gradscope", "train.py"]
    run = read_run(tmp_path / "run.gradscope")
    assert (run.script, run.steps, run.notes) == ("train.py", 5, ())
    # without torch, the same report
    code = (
        "import sys; from gradscope.report import Report; from gradscope.runfile import read_run;"
        "print(Report(read_run('run.gradscope'))); assert 'torch' not in sys.modules"
    )
    later = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, check=True
    )
    assert later.stdout.strip() == first.stderr.strip()


def test_run_out_of_a_script_without_torch(tmp_path):
    (tmp_path / "train.py").write_text("print('hello')\n", encoding="utf-8")
    command = [sys.executable, "-m", "gradscope", "run", "--out", "run.gradscope", "train.py"]
    subprocess.run(command, cwd=tmp_path, env=ENVIRONMENT, check=True, capture_output=True)

    opened = open_run(tmp_path / "run.gradscope")
    assert opened.finished
    assert opened.run.script == "train.py"


def test_run_out_to_a_foreign_file_is_refused_before_the_script_runs(tmp_path):
    (tmp_path / "train.py").write_text("print('hello')\n", encoding="utf-8")
    command = [sys.executable, "-m", "gradscope", "run", "--out", "train.py", "train.py"]
    done = subprocess.run(command, cwd=tmp_path, env=ENVIRONMENT, check=False, capture_output=True, text=True)

    assert (done.returncode, done.stdout) == (2, "")
    assert "is not a gradscope run file" in done.stderr


def test_a_file_that_cannot_be_created_is_refused(tmp_path):
    hooks = len(nn.modules.module._global_parameter_registration_hooks)
    with pytest.raises(RunFileError):
        gradscope.watch(net=nn.Linear(1, 1), to=tmp_path / "missing" / "run.gradscope")
    assert len(nn.modules.module._global_parameter_registration_hooks) == hooks


@pytest.mark.parametrize("broken", ["events", "snapshot", "begin", "finish"])
def test_a_failing_writer_is_told_once_and_training_goes_on(tmp_path, monkeypatch, broken):
    def fail(*args):
        raise OSError("no space left on device")

    monkeypatch.setattr(runfile.RunWriter, broken, fail)
    loop = Loop()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        with gradscope.watch(encoder=loop.encoder, decoder=loop.decoder, to=tmp_path / "run.gradscope") as scope:
            for turn in range(10):
                loop.turn()
                if turn == 5:  # what joins is written down at once
                    torch.optim.SGD(loop.encoder.parameters(), lr=0.0).step()
    assert [w.category for w in told] == [RuntimeWarning]
    assert "no space left on device; the training goes on" in str(told[0].message)
    assert scope.report().run.backwards == 10
    assert not scope.report().run.notes


def test_nothing_is_hooked_without_a_file():
    with gradscope.watch(net=nn.Linear(1, 1)) as scope:
        assert isinstance(scope._recorder, recording.NoRecorder)
        watcher = scope._capture.watcher
        assert (watcher.loop.on_step, watcher.after_backward, len(watcher.before_optimizer)) == ([], [], 1)


def test_histograms_at_every_nth_step():
    loop = Loop()
    with gradscope.watch(decoder=loop.decoder, histograms=2) as scope:
        for _ in range(5):
            loop.turn()
    assert scope.report().run.histograms
    with pytest.raises(GradscopeError, match="histograms=0"):
        gradscope.watch(decoder=loop.decoder, histograms=0)


def test_graph_of_operations():
    loop = Loop()
    drawing = gradscope.graph(loop.decoder(torch.ones(2, 3)).mean(), decoder=loop.decoder, detail="ops")
    assert "decoder.weight" in drawing.source
    with gradscope.watch(decoder=loop.decoder) as scope:
        loop.turn()
    with pytest.raises(GradscopeError, match=r"use gradscope\.graph\(loss, decoder=decoder, detail='ops'\)"):
        scope.report().graph(detail="ops")


@pytest.mark.parametrize("name", ["pandas", "polars"])
def test_report_as_a_frame(monkeypatch, name):
    for package in ("pandas", "polars"):
        monkeypatch.setitem(sys.modules, package, None)
    loop = Loop()
    with gradscope.watch(encoder=loop.encoder, decoder=loop.decoder) as scope:
        for _ in range(3):
            loop.turn()
    with pytest.raises(MissingExtraError, match="pip install pandas"):
        scope.report().to_frame()

    module = type(sys)(name)
    module.DataFrame = dict
    monkeypatch.setitem(sys.modules, name, module)
    frame = scope.report().to_frame()
    assert frame["model"] == ["encoder", "encoder", "decoder", "decoder"]
    assert frame["fqn"] == ["weight", "bias"] * 2
    assert frame["shape"] == ["3x4", "3", "1x3", "1"]
    assert frame["state"] == ["none", "none", "flowing", "flowing"]
    assert frame["backwards"] == [0, 0, 3, 3]
    assert frame["grad_norm"][:2] == [None, None]
    assert frame["optimizer"] == ["self.optimizer"] * 4
    assert Report(gradscope.report().run.__class__()).to_frame()["model"] == []


def test_a_scope_that_nobody_keeps_is_told(tmp_path):
    model = nn.Linear(2, 1)
    with pytest.warns(RuntimeWarning, match="was let go before any backward.*scope = gradscope.watch"):
        gradscope.watch(model=model, to=tmp_path / "run.gradscope")

    assert read_run(tmp_path / "run.gradscope").backwards == 0


def test_a_scope_that_was_kept_is_closed_without_a_word(tmp_path):
    model = nn.Linear(2, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scope = gradscope.watch(model=model, to=tmp_path / "run.gradscope")
        model(torch.ones(1, 2)).sum().backward()
        del scope
        with gradscope.watch(model=model, to=tmp_path / "other.gradscope"):
            pass

    assert read_run(tmp_path / "run.gradscope").backwards == 1
