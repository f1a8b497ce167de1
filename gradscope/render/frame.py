"""The report as a data frame: one row per parameter, in whichever of pandas and polars is installed."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from gradscope.errors import MissingExtraError
from gradscope.records import Owner, Tally

if TYPE_CHECKING:
    from gradscope.records import Parameter
    from gradscope.report import Report

COLUMNS = (
    "model", "fqn", "shape", "dtype", "state", "backwards", "zero", "grad_norm", "update_ratio", "optimizer",
)  # fmt: skip
_PACKAGES = ("pandas", "polars")


def to_frame(report: Report) -> Any:
    """The rows as a DataFrame of the first package there is. Raises MissingExtraError if there is none."""
    columns = dict(zip(COLUMNS, map(list, zip(*rows(report), strict=True)), strict=False))
    for name in _PACKAGES:
        try:
            package = import_module(name)
        except ImportError:
            continue
        return package.DataFrame({column: columns.get(column, []) for column in COLUMNS})
    raise MissingExtraError("a data frame", _PACKAGES[0])


def rows(report: Report) -> list[tuple[Any, ...]]:
    """One row per parameter, in the order of the models; None where nothing was measured."""
    run = report.run
    order = dict.fromkeys(uid for model in run.models for uid in model.parameters) | dict.fromkeys(run.parameters)
    return [_row(report, run.parameters[uid]) for uid in order]


def _row(report: Report, parameter: Parameter) -> tuple[Any, ...]:
    tally = report.run.tallies.get(parameter.uid, Tally())
    owner = parameter.owners[0] if parameter.owners else Owner("", parameter.name)
    holders = [optimizer.name or optimizer.class_name for optimizer in report.run.optimizers_of(parameter.uid)]
    return (
        owner.model,
        owner.fqn,
        "x".join(map(str, parameter.shape)),
        parameter.dtype,
        report.states[parameter.uid].value,
        tally.backwards,
        tally.zero,
        tally.norm_last,
        tally.ratio_last,
        ", ".join(holders),
    )
