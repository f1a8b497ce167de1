"""The exceptions gradscope raises, in one tree.

* GradscopeError
  x NotTrainableError      nothing that could receive a gradient
  x NameClashError         two models under one name, or one model under two
  x UnknownRuleError       a rule code that does not exist
  x ScriptError            the script to run is missing or cannot be compiled
  x RunFileError           a run file is missing, foreign, newer, or damaged beyond reading
  x MissingExtraError      an optional package is needed for what was asked
  x NothingWatchedError    a report was asked for before anything was watched
* GradientFlowError        an AssertionError: `assert_flow()` found a model that does not learn
* StopRun                  a BaseException: `gradscope run --steps N` has seen enough

Factored out so that every layer can raise them without importing another.
"""

from __future__ import annotations


class GradscopeError(Exception):
    """Base of everything gradscope raises on purpose; `exit_code` is what the command line returns for it."""

    exit_code = 2


class NotTrainableError(GradscopeError):
    """A model without parameters, or without one that requires a gradient."""


class NameClashError(GradscopeError):
    """Two models were given one name, or one model was registered twice."""


class UnknownRuleError(GradscopeError):
    """No rule has this code or name."""


class ScriptError(GradscopeError):
    """The script or module to run cannot be found, read or compiled."""


class RunFileError(GradscopeError):
    """A run file cannot be read or written."""


class MissingExtraError(GradscopeError):
    """An optional package is not installed; the message holds the command that installs it."""

    def __init__(self, purpose: str, package: str) -> None:
        super().__init__(f"{purpose} needs the package {package!r}: pip install {package}")


class NothingWatchedError(GradscopeError):
    """`report()` or `assert_flow()` was called although no scope has been opened."""


class GradientFlowError(AssertionError):
    """Raised by `assert_flow()`: at least one model does not receive the gradient it should.

    `report` is the whole report, `findings` are those that failed the assertion.
    """

    def __init__(self, message: str, report: object = None, findings: tuple[object, ...] = ()) -> None:
        super().__init__(message)
        self.report = report
        self.findings = findings


class StopRun(BaseException):
    """Raised out of an optimizer step to end a script after the steps asked for; no `except Exception` catches it."""


class ProbeWarning(UserWarning):
    """A probe of gradscope failed and was detached; the training is not affected."""
