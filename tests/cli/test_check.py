"""`gradscope check`: what it lets pass, what it fails on, and with which status."""

from __future__ import annotations

import json

import pytest

from gradscope.cli import check, main
from gradscope.cli.runner import Outcome
from gradscope.diagnosis import rules
from gradscope.diagnosis.finding import Rule, Severity
from gradscope.records import Location
from tests.cli.reports import finding, report

RULES = tuple(
    Rule(code, name, lambda run: (), f"{code}: {name}.")
    for code, name in (("GS101", "disconnected"), ("GS201", "zero"))
)
BOTH = (finding(), finding("GS201", Severity.WARNING, cause="dead_relu"))


class Session:
    def __init__(self, made):
        self.made = made

    def report(self, script=""):
        return self.made


@pytest.fixture
def run_check(monkeypatch, tmp_path, capfd):
    """Run the command on a script that ended with these findings."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(rules, "RULES", RULES)

    def run(*argv, findings=BOTH, status=0, **made):
        outcome = Outcome("train.py", status, Session(report(*findings, **made)))
        monkeypatch.setattr(check, "run_script", lambda args: outcome)
        found = main.main(["check", *argv, "train.py"])
        return found, *capfd.readouterr()

    return run


@pytest.mark.parametrize(
    ("argv", "findings", "status"),
    [
        ((), (), 0),
        ((), BOTH, 1),
        ((), BOTH[1:], 0),
        (("--fail-on", "warning"), BOTH[1:], 1),
        (("--select", "GS2"), BOTH, 0),
        (("--select", "gs101,GS2"), BOTH, 1),
        (("--ignore", "GS101"), BOTH, 0),
        (("--select", "GS101", "--ignore", "GS1"), BOTH, 0),
    ],
)
def test_status(run_check, argv, findings, status):
    assert run_check(*argv, findings=findings)[0] == status


def test_status_of_the_script_wins(run_check):
    assert run_check(status=3)[0] == 3


def test_nothing_to_judge_is_no_success(run_check):
    status, _, errors = run_check(findings=(), backwards=0)

    assert status == 2
    assert "never called backward()" in errors


def test_unknown_code(run_check):
    status, _, errors = run_check("--ignore", "GS9")

    assert status == 2
    assert errors == "gradscope: no rule has the code GS9, or begins with it; `gradscope rules` lists them\n"


def test_baseline_lets_known_findings_pass(run_check, tmp_path):
    """Also after the line has moved; a new one still fails."""
    assert run_check("--baseline", "known.json")[0] == 2
    assert run_check("--baseline", "known.json", "--update-baseline")[0] == 0
    assert [f["code"] for f in json.loads((tmp_path / "known.json").read_text())["findings"]] == ["GS101", "GS201"]

    moved = finding(location=Location("src/extractor one.py", 99, "keep", "self.latents = output.clone().detach()"))
    assert run_check("--baseline", "known.json", findings=(moved,))[0] == 0
    assert run_check("--baseline", "known.json", findings=(moved, finding(model="decoder")))[0] == 1


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"findings": [{}]}', '{"findings": 1}', '{"findings": [1]}'])
def test_bad_baseline(run_check, tmp_path, content):
    (tmp_path / "known.json").write_text(content)
    status, _, errors = run_check("--baseline", "known.json")

    assert status == 2
    assert errors.startswith("gradscope: known.json is not a baseline")


def test_update_needs_a_file(run_check):
    assert run_check("--update-baseline")[:2] == (2, "")


def test_formats(run_check, tmp_path):
    assert "GS101" in run_check()[2]
    assert json.loads(run_check("--format", "sarif")[1])["version"] == "2.1.0"
    assert json.loads(run_check("--format", "json")[1])["schema"] == 1
    assert run_check("--format", "github")[1].startswith("::error file=")
    assert run_check("--quiet")[1:] == ("", "")
    assert run_check("--format", "sarif", "--output", "out.sarif")[1:] == ("", "")
    assert json.loads((tmp_path / "out.sarif").read_text())["version"] == "2.1.0"
    assert run_check("--format", "text", "--output", "out.txt")[1:] == ("", "")
    assert "GS101" in (tmp_path / "out.txt").read_text()
