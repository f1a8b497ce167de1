"""The commands that run no script, wrong usage, and where output goes."""

from __future__ import annotations

import io
import subprocess
import sys
import time

import pytest

from gradscope import __version__
from gradscope.cli import main, rules, terminal
from gradscope.diagnosis.finding import Rule
from gradscope.errors import UnknownRuleError
from gradscope.runfile import write_run
from tests.cli.reports import report

RULES = (
    Rule("GS101", "disconnected-model", lambda run: (), "A model gets no gradient.\n\nWhat to do.\n"),
    Rule("GS201", "zero", lambda run: (), "GS201: only zeros."),
)


@pytest.fixture
def known_rules(monkeypatch):
    monkeypatch.setattr("gradscope.diagnosis.rules.RULES", RULES)


def run(capsys, *argv):
    return main.main(argv), *capsys.readouterr()


def test_rules_are_listed(capsys, known_rules):
    assert run(capsys, "rules") == (
        0,
        "GS101  disconnected-model  A model gets no gradient.\nGS201  zero                only zeros.\n",
        "",
    )


@pytest.mark.parametrize("wanted", ["GS101", "gs101", "disconnected-model"])
def test_a_rule_is_explained(capsys, known_rules, wanted):
    status, said, _ = run(capsys, "rules", wanted)

    assert (status, said) == (0, "GS101 disconnected-model\n\nA model gets no gradient.\n\nWhat to do.\n")


def test_unknown_rule(capsys, known_rules):
    assert run(capsys, "rules", "GS110") == (2, "", "gradscope: no rule is called GS110; did you mean GS101?\n")
    assert run(capsys, "rules", "GS999")[2] == "gradscope: no rule is called GS999; `gradscope rules` lists them\n"
    assert "did you mean disconnected-model?" in run(capsys, "rules", "disconected")[2]
    with pytest.raises(UnknownRuleError, match="`gradscope rules` lists them"):
        rules.find_rule(RULES, "???")


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("run",), "which script?"),
        (("run", "-m"), "which module?"),
        (("check", "--"), "which script?"),
        (("run", "missing.py"), "no such script: missing.py (no such file or directory)"),
        (("run", "."), "no such script: . (is a folder)"),
        (("run", "-m", "missing.module"), "no such module: missing.module"),
        (("run", "-m", "gradscope.py"), "no such module: gradscope.py"),
        (("run", "--json", "no/where.json", "train.py"), "cannot write no/where.json: no such folder"),
        (("run", "--html", ".", "train.py"), "cannot write .: it is a folder"),
        (("demo", "nothing"), "no example is called nothing; there are two_into_one/detached"),
    ],
)
def test_bad_input_gets_one_line_and_status_2(gradscope, argv, said):
    done = gradscope(*argv)

    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(f"gradscope: {said}")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("argv", [(), ("nothing",), ("run", "--steps", "0", "x.py"), ("run", "--steps", "x", "x.py")])
def test_wrong_usage(argv, capsys):
    with pytest.raises(SystemExit, match="2"):
        main.main(argv)
    assert "usage: gradscope" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["run", "check", "report", "rules"])
def test_an_unknown_option_shows_the_usage_of_its_command(command, capsys):
    with pytest.raises(SystemExit, match="2"):
        main.main([command, "--nosuch", "x.py"])
    usage, said = capsys.readouterr().err.rstrip().rsplit("\n", 1)
    assert usage.startswith(f"usage: gradscope {command} ")
    assert said.startswith(f"gradscope {command}: error: unrecognized arguments: --nosuch")


def test_version_and_help_come_at_once(gradscope):
    assert gradscope("--version").stdout == f"gradscope {__version__}\n"
    gradscope("--help")
    fastest = float("inf")
    for _ in range(3):
        began = time.perf_counter()
        done = gradscope("--help")
        fastest = min(fastest, time.perf_counter() - began)
    assert all(command.__name__.rpartition(".")[2] in done.stdout for command in main.COMMANDS)
    assert fastest < 0.5  # 0.07 s where nothing else runs


def test_interrupted_command(monkeypatch, capsys):
    def interrupt(args):
        raise KeyboardInterrupt

    monkeypatch.setattr(rules, "run", interrupt)
    assert run(capsys, "rules")[0] == 130


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("stream", "environment", "colored"),
    [
        (io.StringIO(), {}, False),
        (io.StringIO(), {"FORCE_COLOR": "1"}, True),
        (Terminal(), {}, True),
        (Terminal(), {"TERM": "dumb"}, False),
        (Terminal(), {"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
    ],
)
def test_color(stream, environment, colored, monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert terminal.in_color(stream) is colored


def test_width_and_characters(monkeypatch):
    monkeypatch.setenv("COLUMNS", "77")
    assert terminal.width(Terminal()) == 77
    assert terminal.width(io.StringIO()) == terminal.PIPED_WIDTH
    assert terminal.knows_boxes(Terminal())
    assert not terminal.knows_boxes(io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    assert not terminal.knows_boxes(io.StringIO())


def test_report_of_a_run_file(capsys, tmp_path):
    path = tmp_path / "run.gradscope"
    write_run(path, report().run)

    status, said, errors = run(capsys, "report", str(path), "--json", str(tmp_path / "r.json"))

    assert (status, errors) == (0, "")
    assert "encoder" in said
    assert '"encoder"' in (tmp_path / "r.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("content", [None, "", "no run file"])
def test_bad_run_file(capsys, tmp_path, content):
    path = tmp_path / "run.gradscope"
    if content is not None:
        path.write_text(content)

    status, said, errors = run(capsys, "report", str(path))

    assert (status, said) == (2, "")
    assert errors.startswith("gradscope: ")
    assert errors.count("\n") == 1


def test_files_of_all_ranks_are_one_run_and_others_are_not(capsys, tmp_path):
    paths = [tmp_path / name for name in ("a.gradscope", "a.rank1.gradscope", "a.rank12.gradscope", "b.gradscope")]
    for path in paths:
        write_run(path, report().run)

    alone = run(capsys, "report", str(paths[0]))
    assert run(capsys, "report", *map(str, (paths[2], paths[0], paths[1]))) == alone
    status, _, errors = run(capsys, "report", *map(str, paths))
    assert status == 2
    assert "b.gradscope is of another run than" in errors


@pytest.mark.parametrize("argv", [("rules",), ("rules", "GS101"), ("demo", "--list"), ("report", "a.gradscope")])
def test_a_reader_that_leaves_early_is_no_error(argv, environment, tmp_path):
    write_run(tmp_path / "a.gradscope", report().run)
    command = f"{sys.executable} -m gradscope {' '.join(argv)}"
    done = subprocess.run(
        ["bash", "-c", f"{{ sleep 0.1; {command}; echo status $? >&2; }} | true"],
        cwd=tmp_path, env=environment, capture_output=True, encoding="utf-8", check=False,
    )  # fmt: skip
    assert done.stderr == "status 0\n"
