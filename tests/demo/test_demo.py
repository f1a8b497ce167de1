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
    "two_into_one/detached": ("lower", {"detach"}, "lower(images[batch, 4:]).detach()"),
    "two_into_one/missing_from_optimizer": ("lower", {"not_in_optimizer"}, "torch.optim.Adam("),
    "two_into_one/wrong_instance": ("lower", {"copied", "not_in_optimizer", "stale_parameter"}, ""),
    "chain/detached": ("encoder", {"numpy", "detach"}, "code.detach().numpy()"),
    "chain/no_grad": ("encoder", {"no_grad"}, "with torch.no_grad():"),
    "chain/wrong_instance": ("encoder", {"not_in_optimizer", "stale_parameter"}, ""),
    "weighted_losses/left_out": ("decoder", {"unused_output"}, ""),
    "weighted_losses/missing_from_optimizer": ("decoder", {"not_in_optimizer"}, "torch.optim.Adam("),
    "weighted_losses/zero_weight": ("decoder", {"zero_multiplier"}, 'weight["restore"] * restore'),
}
"""Per broken example: the model that does not learn, fair names for the reason, and a part of the line to blame."""
MOST_CHANGED = 5
RUN_ALL = """
import sys
from gradscope.cli.main import main
_, folder, *names = sys.argv
for name in names:
    main(["run", "--quiet", "--json", name.replace("/", ".") + ".json", f"{folder}/{name}.py"])
"""


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory):
    """Per example the errors and warnings; all are run in one process, one session after the other."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("out")
    shutil.copytree(FOLDER, source, dirs_exist_ok=True)  # gradscope's own folder is not the user's code
    environment = os.environ | {"PYTHONPATH": str(FOLDER.parents[1]), "OMP_NUM_THREADS": "1"}
    subprocess.run(
        [sys.executable, "-c", RUN_ALL, str(source), *scripts()],
        cwd=out,
        env=environment,
        check=True,
        capture_output=True,
    )

    def loud(name):
        report = json.loads((out / f"{name.replace('/', '.')}.json").read_text(encoding="utf-8"))
        return [finding for finding in report["findings"] if finding["severity"] != "info"]

    return {name: loud(name) for name in scripts()}


@pytest.mark.parametrize("name", EXPECTED)
def test_broken(name, verdicts):
    model, causes, line = EXPECTED[name]

    assert [finding["model"] for finding in verdicts[name]] == [model]
    assert verdicts[name][0]["cause"] in causes
    assert line in (verdicts[name][0]["location"] or {"text": ""})["text"]


@pytest.mark.parametrize("name", [name for name in scripts() if name.endswith("/right")])
def test_right(name, verdicts):
    assert verdicts[name] == []


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
