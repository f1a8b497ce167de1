"""The demo finds what is broken in every broken example, and nothing in the right ones."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from difflib import unified_diff

import pytest

from gradscope.cli import demo, main
from gradscope.demo import FOLDER, load_digits, scripts

EXPECTED = {
    "two_into_one/detached": ("lower", "detach", "lower(images[batch, 4:]).detach()"),
    "two_into_one/missing_from_optimizer": ("lower", "not_in_optimizer", "torch.optim.Adam("),
    "two_into_one/wrong_instance": ("lower", "stale_parameter", ""),
    "chain/detached": ("encoder", "detach", "code.detach().numpy()"),
    "chain/no_grad": ("encoder", "no_grad", "with torch.no_grad():"),
    "chain/wrong_instance": ("encoder", "stale_parameter", ""),
    "weighted_losses/left_out": ("decoder", "unused_output", ""),
    "weighted_losses/missing_from_optimizer": ("decoder", "not_in_optimizer", "torch.optim.Adam("),
    "weighted_losses/zero_weight": ("decoder", "zero_multiplier", 'weight["restore"] * restore'),
}
"""Per broken example: the model that does not learn, why, and a part of the line to blame."""
MOST_CHANGED = 5


def findings(name, tmp_path):
    shutil.copy(FOLDER / f"{name}.py", tmp_path / "train.py")
    environment = os.environ | {"PYTHONPATH": str(FOLDER.parents[1]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "gradscope", "run", "--quiet", "--json", "report.json", "train.py"]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True)
    said = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["findings"]
    return [finding for finding in said if finding["severity"] != "info"]


@pytest.mark.parametrize("name", EXPECTED)
def test_broken(name, tmp_path):
    model, cause, line = EXPECTED[name]

    first = findings(name, tmp_path)[0]

    assert (first["model"], first["cause"]) == (model, cause)
    assert line in first["location"]["text"]


@pytest.mark.parametrize("name", [name for name in scripts() if name.endswith("/right")])
def test_right(name, tmp_path):
    assert findings(name, tmp_path) == []


def test_every_example_is_tested():
    assert set(scripts()) == {*EXPECTED, *(f"{name.split('/')[0]}/right" for name in EXPECTED)}


@pytest.mark.parametrize("name", EXPECTED)
def test_broken_differs_from_right_in_few_lines(name):
    right, broken = ((FOLDER / f"{each}.py").read_text().splitlines() for each in (f"{name.split('/')[0]}/right", name))
    changed = [
        line for line in unified_diff(right[1:], broken[1:], n=0) if line[0] in "+-" and line[:3] not in ("+++", "---")
    ]

    assert 1 <= len(changed) <= MOST_CHANGED


def test_digits_are_those_of_uci():
    from sklearn.datasets import load_digits as original

    images, labels = load_digits()

    assert (images * 16).numpy().tolist() == original().images.tolist()
    assert labels.tolist() == original().target.tolist()
    assert (FOLDER / "digits.npz").stat().st_size < 100_000


def test_command(capfd, monkeypatch):
    monkeypatch.setattr(demo.run_command, "run", lambda args: print("ran", args.target) or 0)
    assert main.main(["demo", "chain"]) == 0
    said = capfd.readouterr().out
    assert "Broken: the code is normalised in NumPy" in said
    assert "ran ['detached.py']" in said


def test_list_and_source(capsys):
    assert main.main(["demo", "--list"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(scripts())
    assert main.main(["demo", "--source", "chain/right"]) == 0
    assert capsys.readouterr().out == (FOLDER / "chain/right.py").read_text()
