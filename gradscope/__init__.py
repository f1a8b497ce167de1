"""Watch several PyTorch models in one training step; learn which gets no gradient, and which line is to blame.

The names below are loaded when first used: `import gradscope` imports neither torch nor matplotlib.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from gradscope._foreign import refuse_foreign_files
from gradscope._version import __version__

if TYPE_CHECKING:
    from gradscope.diagnosis.finding import Finding, Severity, State
    from gradscope.errors import (
        GradientFlowError,
        GradscopeError,
        MissingExtraError,
        NameClashError,
        NothingWatchedError,
        NotTrainableError,
        RunFileError,
        ScriptError,
        UnknownRuleError,
    )
    from gradscope.report import Report
    from gradscope.scope import Scope, assert_flow, explain, graph, report, watch

__all__ = [
    "Finding",
    "GradientFlowError",
    "GradscopeError",
    "MissingExtraError",
    "NameClashError",
    "NotTrainableError",
    "NothingWatchedError",
    "Report",
    "RunFileError",
    "Scope",
    "ScriptError",
    "Severity",
    "State",
    "UnknownRuleError",
    "__version__",
    "assert_flow",
    "explain",
    "graph",
    "report",
    "watch",
]

_HOMES = {
    "gradscope.diagnosis.finding": ("Finding", "Severity", "State"),
    "gradscope.report": ("Report",),
    "gradscope.scope": ("Scope", "assert_flow", "explain", "graph", "report", "watch"),
    "gradscope.errors": tuple(name for name in __all__ if name.endswith("Error")),
    "gradscope.integrations.ipython": ("load_ipython_extension",),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}


class _Package(ModuleType):
    """Keeps `gradscope.report` the function: importing the submodule `gradscope.report` would put itself there."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name == "report" and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
refuse_foreign_files(Path(__file__).parent)


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
