"""`torchrun --nproc-per-node 2 -m gradscope run train.py`: one report, whatever becomes of the ranks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name("train.py")
ENDS = ("well", "hang", "kill", "miss", "wait", "late")
APART = {"past": "it is called past the DistributedDataParallel", "apart": "it is called inside no_sync()"}


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """What the jobs printed, and their reports; they run at the same time."""
    environment = os.environ | {
        "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo", "NO_COLOR": "1",
    }  # fmt: skip
    torchrun = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--rdzv-backend", "c10d"]
    torchrun += ["--rdzv-endpoint", "127.0.0.1:0"]
    jobs = {}
    for end in (*ENDS, *APART, "own"):
        folder = tmp_path_factory.mktemp(end)
        command = [sys.executable, *torchrun, "-m", "gradscope", "run", "--out", "run.gradscope", "--json", "r.json"]
        with (folder / "said").open("w") as said:
            jobs[end] = folder, subprocess.Popen(
                [*command, str(SCRIPT), end],
                cwd=folder, env=environment, stdout=said, stderr=said, start_new_session=True,
            )  # fmt: skip
    folder, waiting = jobs["wait"]
    while not (folder / "waiting").exists() and waiting.poll() is None:
        time.sleep(0.1)
    time.sleep(2.0)  # by now rank 0 is blocked
    waiting.send_signal(signal.SIGTERM)  # as a scheduler does
    for _, process in jobs.values():
        try:
            process.wait(timeout=120)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return {end: (folder, process.returncode) for end, (folder, process) in jobs.items()}


@pytest.mark.parametrize("end", ENDS)
def test_one_report_names_the_rank_without_gradient(ended, end):
    folder, status = ended[end]
    said = (folder / "said").read_text(encoding="utf-8", errors="replace")
    report = json.loads((folder / "r.json").read_text(encoding="utf-8"))

    assert (status == 0) == (end == "well"), said
    assert said.count("ranks: 2 of 2 heard") == 1, said
    found = next(f for f in report["findings"] if f["code"] == "GS601")
    assert found["model"] == "net"
    assert found["parameters"] == ["b.weight", "b.bias"]
    assert "rank 1" in found["message"]
    if end == "well":
        assert found["location"]["text"] == "return self.a(hidden) + self.b(hidden) if both else self.a(hidden)"
        assert "as rank 0 does at" in found["message"]


@pytest.mark.parametrize("end", APART)
def test_gradients_that_nothing_averages_name_the_call(ended, end):
    folder, status = ended[end]
    report = json.loads((folder / "r.json").read_text(encoding="utf-8"))

    assert status == 0
    assert [f["code"] for f in report["findings"]] == ["GS602"]
    assert APART[end] in report["findings"][0]["message"]
    assert report["findings"][0]["location"]["text"] == "loss = model(torch.randn(4, 8), both).pow(2).mean()"


def test_what_only_another_rank_finds_is_in_the_report(ended):
    folder, status = ended["own"]
    report = json.loads((folder / "r.json").read_text(encoding="utf-8"))
    alone = subprocess.run(
        [sys.executable, "-m", "gradscope", "report", "run.rank1.gradscope"],
        cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip

    assert status == 0
    assert [f["code"] for f in report["findings"]] == ["GS504"]
    assert report["findings"][0]["message"].startswith("On rank 1: net is never updated: its learning rate is zero")
    assert "net is never updated: its learning rate is zero" in alone.stdout


def test_report_says_what_became_of_the_ranks(ended):
    missing = {}
    for end in ENDS:
        report = json.loads((ended[end][0] / "r.json").read_text(encoding="utf-8"))
        missing[end] = [row["missing"] for row in report["ranks"]["rows"]]

    assert missing["well"] == ["", ""]
    assert missing["hang"][0].startswith("it was still running")
    assert missing["miss"][1] == missing["hang"][1] == "it failed with exit status 1"
    assert all(each.startswith("it was told to end at ") for each in missing["wait"])
    assert missing["kill"][1].startswith("it ended before it could report; this is what its run file holds")


def test_a_rank_that_the_others_did_not_wait_for_is_told_with_the_line_it_is_at(ended):
    folder, _ = ended["late"]
    rows = json.loads((folder / "r.json").read_text(encoding="utf-8"))["ranks"]["rows"]
    line = next(n for n, text in enumerate(SCRIPT.read_text().splitlines(), 1) if "time.sleep" in text)

    assert rows[1]["missing"] == f"it was still running at {SCRIPT}:{line}"


def test_run_files_merge_offline(ended):
    """Also that of the rank that was killed."""
    folder, _ = ended["kill"]
    done = subprocess.run(
        [sys.executable, "-c", "import sys; sys.modules['torch'] = None; from gradscope.cli.main import main;"
         " raise SystemExit(main(['report', 'run.gradscope']))"],
        cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert "net.b gets no gradient on rank 1" in done.stdout
    assert "it ended without closing its run file" in done.stdout
