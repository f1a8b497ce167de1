"""Tables of the report, before they become text, Markdown or HTML.

Every output draws the same tables, so that they cannot disagree.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from gradscope.diagnosis.finding import State
from gradscope.records import Location, Parameter, Tally
from gradscope.render.flows import UNPLACED, flow_lines, flow_number
from gradscope.render.words import ABSENT, STATE_WORDS, UNKNOWN, brief, calls_without, number

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gradscope.records import Job
    from gradscope.report import FlowRow, ModelSummary, Report


class Tone(StrEnum):
    """What a cell means, for outputs that have colour; the words say the same."""

    NEUTRAL = "neutral"
    QUIET = "quiet"
    GOOD = "good"
    SOMETIMES = "sometimes"
    ZERO = "zero"
    NONE = "none"
    BROKEN = "broken"


STATE_TONES = {
    State.FLOWING: Tone.GOOD,
    State.INTERMITTENT: Tone.SOMETIMES,
    State.ZERO: Tone.ZERO,
    State.NONE: Tone.NONE,
    State.NONFINITE: Tone.BROKEN,
    State.FROZEN: Tone.QUIET,
    State.UNUSED: Tone.QUIET,
}


PARTLY = "partly flowing"


@dataclass(frozen=True, slots=True)
class Cell:
    """One value as shown; `value` is the number to sort by, where it is one."""

    text: str
    tone: Tone = Tone.NEUTRAL
    value: float | None = None


@dataclass(frozen=True, slots=True)
class Column:
    """A heading; numbers stand at the right, code in a fixed-width font."""

    title: str
    number: bool = False
    code: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Columns and rows of cells; each row has a cell per column."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]


def norm_cell(norm: float | None, *, expected: bool = True) -> Cell:
    """A gradient norm: absent, zero and not finite are told apart."""
    if norm is None:
        return Cell(ABSENT, Tone.NONE if expected else Tone.QUIET)
    tone = Tone.NEUTRAL if 0 < norm < float("inf") else (Tone.ZERO if norm == 0 else Tone.BROKEN)
    return Cell(number(norm), tone, norm)


def state_cell(state: State) -> Cell:
    """A state in the words of the report."""
    return Cell(STATE_WORDS[state], STATE_TONES[state])


def state_words(state: State, flowing: int, trainable: int) -> str:
    """A model's state; one that only a part of its trainable parameters is in says so."""
    return PARTLY if state is State.FLOWING and flowing < trainable else STATE_WORDS[state]


def state_of(model: ModelSummary) -> Cell:
    """A model's state, and its tone."""
    words = state_words(model.state, model.flowing, model.trainable)
    return Cell(words, Tone.SOMETIMES if words == PARTLY else STATE_TONES[model.state])


def models_table(models: Iterable[ModelSummary]) -> Table:
    """One row per model: class, state, how many of its trainable parameters flow, gradient norm.

    What was applied is told beside it where somebody changed the gradients before the step: a scaler, clipping.
    """
    models = tuple(models)
    changed = any(model.applied_norm is not None for model in models)
    rows = tuple(
        (
            Cell(model.name),
            Cell(model.class_name, Tone.QUIET),
            state_of(model),
            Cell(flowing_words(model), value=model.flowing),
            norm_cell(model.grad_norm, expected=model.state is State.NONE),
            *((_applied_cell(model),) if changed else ()),
        )
        for model in models
    )
    titles = (Column("model", code=True), Column("class", code=True), Column("state"))
    norms = (Column("grad norm", number=True), *((Column("applied", number=True),) if changed else ()))
    return Table((*titles, Column("flowing", number=True), *norms), rows)


def flowing_words(model: ModelSummary) -> str:
    """How many of its trainable parameters flow, and how many are frozen beside them."""
    frozen = model.parameters - model.trainable
    beside = f" +{frozen} frozen" if frozen else ""
    return f"{model.flowing}/{model.trainable}{beside}" if model.trainable else ABSENT


def _applied_cell(model: ModelSummary) -> Cell:
    if model.applied_norm is None:
        return Cell(ABSENT if model.grad_norm is None else "as it was", Tone.QUIET)
    return norm_cell(model.applied_norm)


def ranks_table(job: Job, most: int) -> Table:
    """One row per rank; of more than `most` those that were not heard, then the first."""
    rows = sorted(job.rows, key=lambda row: (not row.missing, row.rank))[:most] if len(job.rows) > most else job.rows
    cells = tuple(
        (
            Cell(str(row.rank), value=row.rank),
            *(_count(value if row.known else None) for value in (row.steps, row.backwards, row.received)),
            norm_cell(row.norm, expected=bool(row.missing)),
            Cell(row.missing or "reported", Tone.NONE if row.missing else Tone.QUIET),
        )
        for row in rows
    )
    titles = (Column("rank", number=True), Column("steps", number=True), Column("backwards", number=True))
    own = (Column("parameters reached", number=True), Column("own grad norm", number=True), Column("heard"))
    return Table((*titles, *own), cells)


def _count(value: int | None) -> Cell:
    return Cell(ABSENT, Tone.QUIET) if value is None else Cell(str(value), value=value)


def flow_table(report: Report, models: Iterable[ModelSummary]) -> Table:
    """The flow matrix: one row per backward line, one column per given model."""
    names = [model.name for model in models]
    states = {model.name: model.state for model in report.models}
    rows = tuple(
        (
            Cell(brief(row.location) if row.location else place(None)),
            Cell(row.location.text if row.location else "", Tone.QUIET),
            Cell(str(row.count), value=row.count),
            *(_flow_cell(row, name, expected=states[name] is State.NONE) for name in names),
        )
        for row in report.flow
    )
    titles = (Column("backward", code=True), Column("line", code=True), Column("times", number=True))
    return Table((*titles, *(Column(name, number=True, code=True) for name in names)), rows)


def turned_flow_table(report: Report, models: Iterable[ModelSummary]) -> Table:
    """The same turned round: one row per given model, one column per backward line, for names that are long."""
    rows = tuple(
        (
            Cell(model.name),
            *(_flow_cell(row, model.name, expected=model.state is State.NONE) for row in report.flow),
        )
        for model in models
    )
    titles = [f"{line} x{row.count}" for line, row in zip(flow_lines(report.flow), report.flow, strict=True)]
    return Table((Column("model", code=True), *(Column(title, number=True, code=True) for title in titles)), rows)


def _flow_cell(row: FlowRow, model: str, *, expected: bool) -> Cell:
    norm = row.models.get(model)
    if norm is None and model in row.reached:
        return Cell(UNKNOWN, Tone.QUIET)
    cell, over = replace(norm_cell(norm, expected=expected), text=flow_number(row, model)), calls_without(row, model)
    return replace(cell, text=f"{cell.text} (last {over:,}: none)", tone=Tone.SOMETIMES) if over else cell


_PARAMETER_COLUMNS = (
    Column("parameter", code=True),
    Column("shape", code=True),
    Column("dtype", code=True),
    Column("state"),
    Column("backwards", number=True),
    Column("zero", number=True),
    Column("last norm", number=True),
    Column("update ratio", number=True),
    Column("optimizer", code=True),
)


def parameters_table(report: Report) -> Table:
    """Every parameter of the run, in the order of the models; one row per name it has."""
    run = report.run
    optimizers: dict[int, list[str]] = {}
    for optimizer in run.optimizers:
        for uid in optimizer.parameters:
            optimizers.setdefault(uid, []).append(optimizer.name or optimizer.class_name)
    named = [(uid, name) for model in run.models for uid, name in _names(report, model.name, model.parameters)]
    known = {uid for uid, _ in named}
    named += [(uid, parameter.name) for uid, parameter in run.parameters.items() if uid not in known]
    rows = (
        _parameter_row(
            name,
            run.parameters[uid],
            report.states[uid],
            run.tallies.get(uid, Tally()),
            ", ".join(dict.fromkeys(optimizers.get(uid, ()))),
        )
        for uid, name in named
    )
    return Table(_PARAMETER_COLUMNS, tuple(rows))


def _names(report: Report, model: str, uids: tuple[int, ...]) -> list[tuple[int, str]]:
    answer = []
    for uid in uids:
        parameter = report.run.parameters[uid]
        owner = next((o for o in parameter.owners if o.model == model), None)
        name = (f"{model}.{owner.fqn}" if owner.fqn else model) if owner else parameter.name
        answer.append((uid, name))
    return answer


def _parameter_row(name: str, parameter: Parameter, state: State, tally: Tally, held: str) -> tuple[Cell, ...]:
    return (
        Cell(name),
        Cell("x".join(map(str, parameter.shape)) or "scalar", Tone.QUIET, parameter.numel),
        Cell(parameter.dtype.removeprefix("torch."), Tone.QUIET),
        state_cell(state),
        Cell(str(tally.backwards), value=tally.backwards),
        Cell(str(tally.zero), Tone.ZERO if tally.zero else Tone.QUIET, tally.zero),
        norm_cell(tally.norm_last, expected=state is State.NONE),
        Cell(number(tally.ratio_last), Tone.NEUTRAL, tally.ratio_last),
        Cell(held or ABSENT, Tone.NEUTRAL if held else Tone.QUIET),
    )


def place(location: Location | None) -> str:
    """`file:line`, or that it is not known."""
    return str(location) if location else UNPLACED
