"""`gradscope check`: what it lets pass, what it fails on, and with which status."""

from __future__ import annotations

import json
from xml.etree import ElementTree as Xml

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
    assert errors == "gradscope: train.py never called backward(), so there is no gradient to judge\n"


def test_a_warning_where_nothing_was_trained_is_no_success(run_check):
    status, _, errors = run_check(findings=BOTH[1:], backwards=0)

    assert status == 2
    assert "GS201" in errors
    assert "never called backward()" in errors
    assert run_check(findings=BOTH, backwards=0)[0] == 1


def test_what_was_let_pass_is_counted(run_check):
    _, _, errors = run_check("--ignore", "GS1,GS2")

    assert "2 findings let pass" in errors
    assert "Nothing wrong" not in errors


def test_an_expected_model_that_is_not_there_is_told(run_check):
    assert "--expect-no-grad names nope, but the models are" in run_check("--expect-no-grad", "nope")[2]
    assert "--expect-no-grad names" not in run_check()[2]


def test_unknown_code(run_check):
    status, _, errors = run_check("--ignore", "GS9")

    assert status == 2
    assert (
        errors == "gradscope: no rule is named GS9, or has a code that begins with it; `gradscope rules` lists them\n"
    )


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


def test_junit(run_check):
    """Each model is a case; a finding that counts is one that failed."""

    def cases(*argv, **made):
        return list(Xml.fromstring(run_check("--format", "junit", *argv, **made)[1]).iter("testcase"))

    failures = [case for case in cases() if case.find("failure") is not None]

    assert [(case.get("name"), case.get("file"), case.get("line")) for case in failures] == [
        ("encoder: GS101 disconnected-model", "src/extractor one.py", "14")
    ]
    assert failures[0].find("failure").get("message") == "encoder gets no gradient: 100% of it,\nall steps."
    assert len([case for case in cases("--fail-on", "warning") if case.find("failure") is not None]) == 2
    assert [(case.get("name"), len(case)) for case in cases(findings=())] == [("encoder", 0)]
    odd = finding(message="a < b & \x00\x1b \ud800 é")
    assert "a &lt; b &amp; \ufffd\ufffd \ufffd é" in run_check("--format", "junit", findings=(odd,))[1]


def test_junit_counts_and_tells_the_rest(run_check):
    suite = Xml.fromstring(run_check("--format", "junit")[1]).find("testsuite")

    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("1", "1", "0")
    assert suite.find("system-out").text.startswith("warning GS201")


def configure(tmp_path, table):
    (tmp_path / "pyproject.toml").write_text(f"[tool.other]\nx = 1\n[tool.gradscope]\n{table}\n")


@pytest.mark.parametrize(
    ("table", "argv", "status"),
    [
        ("", (), 1),
        ("ignore = ['gs1']", (), 0),
        ("ignore = ['gs1']", ("--ignore", "GS2"), 1),
        ("select = ['GS2']", (), 0),
        ("select = ['GS2']\nfail-on = 'warning'", (), 1),
        ("select = ['GS2']\nfail-on = 'warning'", ("--fail-on", "error"), 0),
        ("expect-no-grad = ['decoder']", (), 1),
    ],
)
def test_configuration(run_check, tmp_path, table, argv, status):
    configure(tmp_path, table)

    assert run_check(*argv)[0] == status


def test_configuration_of_a_folder_above(run_check, tmp_path, monkeypatch):
    configure(tmp_path, "baseline = 'known.json'")
    (tmp_path / "scripts").mkdir()
    monkeypatch.chdir(tmp_path / "scripts")

    assert run_check("--update-baseline")[0] == 0
    assert (tmp_path / "known.json").is_file()
    assert run_check()[0] == 0


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ("selct = ['GS1']", "[tool.gradscope] has no key 'selct': did you mean select?"),
        ("colour = true", "has no key 'colour': there are baseline, expect-no-grad, fail-on, ignore, select"),
        ("fail-on = 'info'", 'fail-on in [tool.gradscope] is "error" or "warning", not \'info\''),
        ("ignore = 'GS1'", "ignore in [tool.gradscope] is a list such as [\"...\"], not 'GS1'"),
        ("baseline = 3", "baseline in [tool.gradscope] is the name of a file, not 3"),
        ("ignore = ['GS9']", "no rule is named GS9"),
        ("= 3", "pyproject.toml: Invalid statement"),
    ],
)
def test_bad_configuration_is_one_sentence(run_check, tmp_path, table, says):
    configure(tmp_path, table)
    status, out, errors = run_check()

    assert (status, out) == (2, "")
    assert errors.startswith("gradscope: ")
    assert says in errors
    assert errors.count("\n") == 1


def test_model_that_is_meant_to_get_no_gradient(run_check, monkeypatch):
    """The rules hear of it; a name that is no model of this script says nothing."""
    heard = []
    rule = Rule("GS101", "disconnected", lambda run: heard.append(run.models[0].expected_idle) or (), "GS101: x.")
    monkeypatch.setattr("gradscope.diagnosis.engine.RULES", (rule,))
    run_check("--expect-no-grad", "teacher, encoder")
    run_check("--expect-no-grad", "teacher")

    assert heard == [True]
