"""The pytest plugin, seen from suites that use it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

# Imported here, so that suites run in this process find it loaded: it cannot be loaded twice.
import torch._dynamo  # noqa: F401

import gradscope.scope  # noqa: F401

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[1]

TRAINING = """
import pytest
import torch
from torch import nn


def train(cut, steps=3):
    encoder, decoder = nn.Linear(4, 3), nn.Linear(3, 1)
    optimizer = torch.optim.SGD([*encoder.parameters(), *decoder.parameters()], 0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        hidden = encoder(torch.ones(2, 4))
        if cut:
            hidden = hidden.detach()
        decoder(hidden).sum().backward()
        optimizer.step()
"""


PLUGIN = ["-p", "no:cacheprovider"]  # The plugin itself comes from the entry point of the installed package.


@pytest.fixture
def suite(pytester):
    """Runs a suite in this process."""

    def run(code, *args):
        pytester.makepyfile(code)
        return pytester.runpytest_inprocess(*PLUGIN, *args)

    return run


@pytest.fixture
def fresh_suite(pytester, monkeypatch):
    """Runs a suite in a process of its own."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))

    def run(code, *args):
        pytester.makepyfile(code)
        return pytester.runpytest_subprocess(*PLUGIN, *args)

    return run


def text(result):
    return "\n".join(result.outlines)


def test_option_sums_up_the_findings_of_a_suite(suite):
    code = (
        TRAINING
        + "def test_sick():\n    train(True)\n\n\ndef test_healthy():\n    train(False)\n\n\ndef test_other(): pass\n"
    )
    result = suite(code, "--gradscope")

    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(
        ["*gradient flow*", "2 tests trained, 1 with findings", "*::test_sick", "  error  GS*  encoder*"]
    )
    assert "test_option_sums_up_the_findings_of_a_suite.py:13." in text(result)
    assert "::test_healthy" not in text(result)


def test_option_with_xdist(fresh_suite):
    pytest.importorskip("xdist")
    code = TRAINING + "@pytest.mark.parametrize('cut', [True, False] * 4)\ndef test_it(cut):\n    train(cut)\n"
    result = fresh_suite(code, "--gradscope", "-n", "2")

    result.assert_outcomes(passed=8)
    result.stdout.fnmatch_lines(["8 tests trained, 4 with findings"])


def test_without_the_option_nothing_is_watched(suite):
    result = suite(TRAINING + "def test_sick():\n    train(True)\n")

    result.assert_outcomes(passed=1)
    assert "gradient flow" not in text(result)


def test_strict_option_fails_the_test(suite):
    result = suite(
        TRAINING + "def test_sick():\n    train(True)\n\n\ndef test_healthy():\n    train(False)\n",
        "--gradscope-strict",
    )

    result.assert_outcomes(passed=1, failed=1)
    assert "GradientFlowError" in text(result)


def test_marker_fails_a_test_whose_model_does_not_learn(suite):
    code = TRAINING + (
        "@pytest.mark.gradient_flow\n@pytest.mark.parametrize('cut', [True, False])\n"
        "def test_it(cut):\n    train(cut)\n"
    )
    result = suite(code)

    result.assert_outcomes(passed=1, failed=1)
    assert re.search(r"GradientFlowError: .*", text(result))
    assert "encoder" in text(result)


@pytest.mark.parametrize("allow", ["['encoder']", "'encoder'", "['detach']", "['GS101']"])
def test_marker_lets_pass_what_is_allowed(allow, suite):
    code = TRAINING + f"@pytest.mark.gradient_flow(allow={allow})\ndef test_it():\n    train(True)\n"
    suite(code).assert_outcomes(passed=1)


def test_marker_on_a_test_that_trains_nothing(suite):
    result = suite("import pytest\n\n\n@pytest.mark.gradient_flow\ndef test_it(): pass\n")

    result.assert_outcomes(failed=1)
    assert "trained nothing" in text(result)


def test_marker_does_not_hide_the_failure_of_the_test_itself(suite):
    code = TRAINING + "@pytest.mark.gradient_flow\ndef test_it():\n    train(True)\n    assert 1 == 2\n"
    result = suite(code)

    result.assert_outcomes(failed=1)
    assert "assert 1 == 2" in text(result)
    assert "GradientFlowError" not in text(result)


def test_training_in_a_fixture_is_seen(suite):
    code = TRAINING + "@pytest.fixture\ndef trained():\n    train(True)\n\n\ndef test_it(trained): pass\n"
    suite(code, "--gradscope").stdout.fnmatch_lines(["1 test trained, 1 with findings"])


def test_failing_fixture_leaves_nothing_open(suite):
    code = TRAINING + (
        "@pytest.fixture\ndef broken():\n    train(False)\n    raise RuntimeError\n\n\ndef test_a(broken): pass\n\n\n"
        "def test_b():\n    from torch.overrides import _get_current_function_mode_stack\n"
        "    assert len(_get_current_function_mode_stack()) == 1\n"
    )
    suite(code, "--gradscope").assert_outcomes(errors=1, passed=1)


FIXTURE = (
    TRAINING
    + """
def build(cut):
    encoder, decoder = nn.Linear(4, 3), nn.Linear(3, 1)
    optimizer = torch.optim.SGD([*encoder.parameters(), *decoder.parameters()], 0.1)

    def step():
        optimizer.zero_grad()
        hidden = encoder(torch.ones(2, 4))
        decoder(hidden.detach() if cut else hidden).sum().backward()
        optimizer.step()

    return step, {"encoder": encoder, "decoder": decoder}
"""
)


def test_fixture_asserts_the_flow_of_a_step(suite):
    code = FIXTURE + (
        "def test_healthy(gradscope):\n    assert gradscope.assert_flow(*build(False)).ok\n\n\n"
        "def test_sick(gradscope):\n    gradscope.assert_flow(*build(True))\n\n\n"
        "def test_allowed(gradscope):\n    gradscope.assert_flow(*build(True), allow=['encoder'])\n"
    )
    result = suite(code)

    result.assert_outcomes(passed=2, failed=1)
    assert "GradientFlowError: No gradient reaches encoder" in text(result)
    assert "gradscope/report.py" not in text(result)


def test_what_the_fixture_lets_pass_is_not_summed_up_under_another_name(suite):
    code = FIXTURE + (
        "def test_allowed(gradscope):\n"
        "    step, models = build(True)\n"
        "    net = models['encoder']\n"
        "    gradscope.assert_flow(step, {'other': net, 'head': models['decoder']}, allow=['other'])\n"
    )
    result = suite(code, "--gradscope-strict")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["1 test trained, 0 with findings"])


def test_strict_names_the_marker_that_lets_pass(suite):
    code = TRAINING + "def test_it():\n    train(True)\n"
    assert "If it is meant: @pytest.mark.gradient_flow(allow=['encoder'])" in text(suite(code, "--gradscope-strict"))


def test_fixture_takes_models_without_names(suite):
    code = FIXTURE + (
        "def test_list(gradscope):\n    step, models = build(False)\n"
        "    report = gradscope.assert_flow(step, models.values())\n"
        "    assert [m.name for m in report.models] == ['linear', 'linear2']\n\n\n"
        "def test_one(gradscope):\n    step, models = build(False)\n"
        "    gradscope.assert_flow(step, models['decoder'])\n"
    )
    suite(code).assert_outcomes(passed=2)


def test_fixture_watches_until_the_test_ends(suite):
    code = FIXTURE + (
        "kept = []\n\n\ndef test_watch(gradscope):\n    step, models = build(False)\n    kept.append(models)\n"
        "    scope = gradscope.watch(models)\n    step()\n    step()\n"
        "    assert scope.report().run.backwards == 2\n\n\n"
        "def test_after():\n    for model in kept[0].values():\n        for p in model.parameters():\n"
        "            assert not p._post_accumulate_grad_hooks\n"
    )
    suite(code).assert_outcomes(passed=2)


def test_fixture_under_the_option(suite):
    code = FIXTURE + "def test_healthy(gradscope):\n    assert gradscope.assert_flow(*build(False)).ok\n"
    result = suite(code, "--gradscope")

    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["1 test trained, 0 with findings"])


@pytest.mark.parametrize("args", [(), ("--gradscope",)])
def test_suite_without_torch_does_not_import_it(args, fresh_suite):
    code = (
        "import sys\n\n\ndef test_it():\n    assert 'torch' not in sys.modules\n    assert 'numpy' not in sys.modules\n"
    )
    fresh_suite(code, *args).assert_outcomes(passed=1)


def test_torch_imported_inside_a_test_is_seen(fresh_suite):
    body = "".join(f"    {line}\n" for line in TRAINING.splitlines())
    result = fresh_suite(f"def test_it():\n{body}\n    train(True)\n", "--gradscope")

    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["1 test trained, 1 with findings"])


def test_findings_are_in_the_junit_file(suite, pytester):
    suite(TRAINING + "def test_sick():\n    train(True)\n", "--gradscope", "--junitxml=out.xml")
    xml = (pytester.path / "out.xml").read_text()

    assert '<property name="gradscope" value="[{' in xml


def test_marker_is_documented(suite):
    suite("", "--markers").stdout.fnmatch_lines(["@pytest.mark.gradient_flow(allow=*"])


@pytest.mark.parametrize(
    ("table", "failed"), [("ignore = ['GS101']", 0), ("expect-no-grad = ['encoder']", 0), ("ignore = ['GS5']", 1)]
)
def test_configuration_of_the_suite(table, failed, suite, pytester):
    (pytester.path / "pyproject.toml").write_text(f"[tool.gradscope]\n{table}\n[tool.pytest.ini_options]\n")
    result = suite(TRAINING + "@pytest.mark.gradient_flow\ndef test_sick():\n    train(True)\n")

    result.assert_outcomes(failed=failed, passed=1 - failed)


def test_bad_configuration_of_the_suite(fresh_suite, pytester):
    (pytester.path / "pyproject.toml").write_text("[tool.gradscope]\nignor = []\n[tool.pytest.ini_options]\n")
    result = fresh_suite("def test_it(): pass\n")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "[tool.gradscope] has no key 'ignor': did you mean ignore?" in "\n".join(result.errlines)


def test_the_message_of_the_marker_lets_just_that_model_pass(suite):
    code = TRAINING + "@pytest.mark.gradient_flow\ndef test_it():\n    train(True)\n"
    assert "If it is meant: gradient_flow(allow=['encoder'])" in text(suite(code))


def test_a_misspelt_argument_of_the_marker_is_refused(suite):
    code = TRAINING + "@pytest.mark.gradient_flow(allwo=['encoder'])\ndef test_it():\n    train(True)\n"
    result = suite(code)
    result.assert_outcomes(failed=1)
    assert "gradient_flow takes `allow` alone, not allwo" in text(result)


def test_what_is_let_pass_or_expected_to_fail_is_not_summed_up(suite):
    code = (
        TRAINING
        + "@pytest.mark.gradient_flow(allow=['encoder'])\ndef test_allowed():\n    train(True)\n\n\n"
        + "@pytest.mark.xfail\n@pytest.mark.gradient_flow\ndef test_expected():\n    train(True)\n"
    )
    result = suite(code, "--gradscope")
    result.assert_outcomes(passed=1, xfailed=1)
    result.stdout.fnmatch_lines(["2 tests trained, 0 with findings"])


def test_fixture_does_not_pass_on_nothing(suite):
    code = FIXTURE + "def test_nothing(gradscope):\n    gradscope.assert_flow(lambda: None, {'m': nn.Linear(2, 2)})\n"
    result = suite(code)
    result.assert_outcomes(failed=1)
    assert "nothing was trained" in text(result)


def test_a_model_that_a_test_does_not_have_is_told_and_fails_nothing(suite):
    code = TRAINING + "@pytest.mark.gradient_flow(allow=['encoder', 'critic'])\ndef test_it():\n    train(True)\n"
    result = suite(code, "-W", "default")
    result.assert_outcomes(passed=1, warnings=1)
    assert "gradient_flow allows critic, which this test does not have; its models are" in text(result)
