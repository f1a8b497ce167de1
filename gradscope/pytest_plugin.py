"""The pytest plugin: `--gradscope`, the marker `gradient_flow` and the fixture `gradscope`.

* It is imported in every pytest run of the environment, so it imports no torch and next to nothing of gradscope.
* What [tool.gradscope] of the suite's pyproject.toml ignores or expects is no finding.
* A suite that does not use torch never imports it: watching begins at the moment a test does.
* Findings travel as `user_properties` of the test's report: that is what pytest-xdist sends from its workers, and what
  `--junitxml` writes.
"""

from __future__ import annotations

import json
import warnings
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from gradscope.config import read_config
from gradscope.errors import GradscopeError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping

    from torch import nn

    from gradscope.config import Config
    from gradscope.diagnosis.finding import Finding
    from gradscope.report import Report
    from gradscope.scope import Scope
    from gradscope.session import Session

PROPERTY = "gradscope"
"""Name of the user property; its value is a JSON list of findings, empty where training was healthy."""

_WATCH = pytest.StashKey["Watch"]()
_CONFIG = pytest.StashKey["Config"]()
_LET_PASS = pytest.StashKey["set[Any]"]()
"""What `assert_flow` of the fixture let pass in this test; the session of the test sees it, too, under other names."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("gradscope", "gradient flow (gradscope)")
    group.addoption("--gradscope", action="store_true", help="watch all training in the suite and sum up the findings")
    group.addoption(
        "--gradscope-strict", action="store_true", help="as --gradscope, and a test fails if a model does not learn"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "gradient_flow(allow=[]): watch the training in this test; fail it if a model does not get the gradient it"
        " should. `allow` names models, parameters, rule codes or causes to let pass.",
    )
    try:
        found = config.stash[_CONFIG] = read_config(config.rootpath)
        if found.select or found.ignore:
            from gradscope.selection import resolved

            config.stash[_CONFIG] = resolved(found)
    except GradscopeError as error:
        raise pytest.UsageError(str(error)) from None
    config.pluginmanager.register(_Summary(), "gradscope-summary")


class Watch:
    """A session over the set-up and call of one test, opened when the test first has torch."""

    def __init__(self, config: Config) -> None:
        from gradscope.torch_import import when_torch_is_imported

        self.session: Session | None = None
        self._config = config
        self._stack = ExitStack()
        self._stack.enter_context(when_torch_is_imported(self._open))

    def _open(self) -> None:
        from gradscope.session import Session

        self.session = self._stack.enter_context(Session(discover=True))

    def close(self) -> None:
        self._stack.close()

    def report(self) -> Report | None:
        """The report of what was trained, as pyproject.toml narrows it; None if nothing was."""
        from gradscope.selection import select

        report = self.session.report() if self.session is not None else None
        return select(report, self._config) if report is not None and report.run.trained else None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, Any, Any]:
    options = item.config.option
    if options.gradscope or options.gradscope_strict or item.get_closest_marker("gradient_flow"):
        item.stash[_WATCH] = Watch(item.config.stash[_CONFIG])
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    watch = item.stash.get(_WATCH, None)
    if watch is None:
        return (yield)
    marker = item.get_closest_marker("gradient_flow")
    try:
        result = yield
    finally:
        watch.close()
        report = watch.report()
        if report is not None:
            report = _without(report, item.stash.get(_LET_PASS, set()))
            item.user_properties.append((PROPERTY, json.dumps(_told(report, marker))))
    if marker is not None or item.config.option.gradscope_strict:
        _demand(report, marker)
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, Any, Any]:
    watch = item.stash.get(_WATCH, None)
    if watch is not None:
        watch.close()  # Still open only if the set-up failed.
        del item.stash[_WATCH]
    return (yield)


def _without(report: Report, passed: set[Any]) -> Report:
    """The report less what the fixture let pass."""
    from gradscope.selection import keeping

    return keeping(report, lambda finding: _sight(finding) not in passed) if passed else report


def _sight(finding: Finding) -> Any:
    """What two observers of one training agree on, whatever they call the model."""
    return finding.code, str(finding.location), finding.parameters


def _told(report: Report, marker: pytest.Mark | None) -> list[dict[str, str]]:
    """The findings to sum up: none of what the marker lets pass."""
    from gradscope.report import allowed

    allow = marker.kwargs.get("allow", ()) if marker is not None else ()
    return [_plain(finding) for finding in report.findings if not allowed(finding, allow)]


def _demand(report: Report | None, marker: pytest.Mark | None) -> None:
    __tracebackhide__ = True
    if report is not None:
        _assert_flow(
            report,
            _meant(report, _allowed(marker)),
            allowing="gradient_flow" if marker is not None else "@pytest.mark.gradient_flow",
        )
    elif marker is not None:
        pytest.fail("gradient_flow: this test trained nothing, no backward() was called", pytrace=False)


def _allowed(marker: pytest.Mark | None) -> tuple[str, ...]:
    """What the marker lets pass. A misspelt argument would silently let nothing pass, or all."""
    if marker is None:
        return ()
    unknown = [*map(repr, marker.args), *(name for name in marker.kwargs if name != "allow")]
    if unknown:
        raise pytest.UsageError(f"gradient_flow takes `allow` alone, not {', '.join(unknown)}")
    allow = marker.kwargs.get("allow", ())
    return (allow,) if isinstance(allow, str) else tuple(allow)


def _meant(report: Report, allow: tuple[str, ...]) -> tuple[str, ...]:
    """The allow-list less the names that are not in this test: of discovered models others may be trained elsewhere."""
    from gradscope.diagnosis.allowing import strangers

    strange = [name for name in strangers(report.run, report.findings, allow) if not name.startswith("GS")]
    if strange:
        models = ", ".join(model.name for model in report.run.models)
        said = f"gradient_flow allows {', '.join(strange)}, which this test does not have; its models are {models}"
        warnings.warn(pytest.PytestWarning(said), stacklevel=2)
    return tuple(name for name in allow if name not in strange)


def _assert_flow(
    report: Report, allow: Iterable[str], *, warnings: bool = False, allowing: str = "assert_flow"
) -> None:
    """As the report does it, with nothing of ours in the traceback."""
    from gradscope.errors import GradientFlowError
    from gradscope.render.text import render_failure

    __tracebackhide__ = True
    try:
        report.assert_flow(allow=allow, warnings=warnings)
    except GradientFlowError as error:
        if not error.findings:
            raise error.with_traceback(None) from None
        said = render_failure(report, error.findings, allowing=allowing)  # type: ignore[arg-type]
        raise GradientFlowError(said, report, error.findings) from None


def _plain(finding: Any) -> dict[str, str]:
    return {
        "severity": finding.severity.value,
        "code": finding.code,
        "name": finding.name,
        "model": finding.model,
        "message": finding.message,
        "location": str(finding.location or ""),
    }


class _Summary:
    """Collects the findings of all tests, from all workers, and prints them at the end."""

    def __init__(self) -> None:
        self._found: dict[str, list[dict[str, str]]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call":
            for name, value in report.user_properties:
                if name == PROPERTY:
                    expected = hasattr(report, "wasxfail")  # to fail, and the suite knows why
                    self._found[report.nodeid] = [] if expected else json.loads(str(value))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        options = terminalreporter.config.option
        if not (options.gradscope or options.gradscope_strict):
            return
        loud = {node: [f for f in found if f["severity"] != "info"] for node, found in self._found.items()}
        troubled = {node: found for node, found in sorted(loud.items()) if found}
        terminalreporter.section("gradient flow")
        terminalreporter.line(f"{_count(len(loud), 'test')} trained, {len(troubled)} with findings")
        for node, found in troubled.items():
            terminalreporter.line(node)
            for entry in found:
                terminalreporter.line(f"  {entry['severity']}  {entry['code']} {entry['name']}  {entry['model']}")
                terminalreporter.line(f"    {entry['message']}")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


class Gradscope:
    """What the fixture `gradscope` gives: watching that ends with the test."""

    def __init__(self, finalizers: ExitStack, let_pass: set[Any]) -> None:
        self._finalizers, self._let_pass = finalizers, let_pass

    def watch(self, *models: Any, **options: Any) -> Scope:
        """As `gradscope.watch`, closed at the end of the test. A positional model is called by its class."""
        from gradscope.scope import watch

        scope = watch(*(_named([model]) if _is_module(model) else model for model in models), **options)
        self._finalizers.callback(scope.close)
        return scope

    def assert_flow(
        self,
        step: Callable[[], object],
        models: Mapping[str, nn.Module] | Iterable[nn.Module] | nn.Module,
        *,
        allow: Iterable[str] = (),
        repeat: int = 4,
        warnings: bool = False,
    ) -> Report:
        """Run a training step, traced; raise GradientFlowError if it does not bring each model its gradient."""
        from gradscope.report import allowed
        from gradscope.scope import explain

        allow = (allow,) if isinstance(allow, str) else tuple(allow)
        __tracebackhide__ = True
        report = explain(step, repeat=repeat, models=_named(models))
        self._let_pass.update(_sight(f) for f in report.findings if allowed(f, allow))
        _assert_flow(report, allow, warnings=warnings)
        return report


def _is_module(value: object) -> bool:
    return hasattr(value, "named_parameters")


def _named(models: Any) -> dict[str, Any]:
    """Models by name; those without one by their class, numbered from the second of a class on."""
    if hasattr(models, "keys") and not _is_module(models):
        return dict(models)
    named: dict[str, Any] = {}
    for model in [models] if _is_module(models) else models:
        base = type(model).__name__.lower()
        same = sum(name.rstrip("0123456789") == base for name in named)
        named[f"{base}{same + 1}" if same else base] = model
    return named


@pytest.fixture
def gradscope(request: pytest.FixtureRequest) -> Generator[Gradscope]:
    """Watch models in this test: `gradscope.watch(...)`, `gradscope.assert_flow(step, models, allow=...)`."""
    with ExitStack() as finalizers:
        yield Gradscope(finalizers, request.node.stash.setdefault(_LET_PASS, set()))
