"""The report: the facts of a run, the findings, and how to see them.

A `Report` is inert: it can be kept, pickled by its JSON, or drawn long after the models are gone.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradscope.diagnosis import diagnose
from gradscope.diagnosis.allowing import strangers
from gradscope.diagnosis.finding import Finding, Severity, State
from gradscope.diagnosis.idle import stopped
from gradscope.diagnosis.states import model_states, parameter_states
from gradscope.errors import GradientFlowError, GradscopeError
from gradscope.records import Location, Run
from gradscope.records.former import ever
from gradscope.records.sizes import applied_norm, last_norm, sizes, times, usual

_IS_CODE = re.compile(r"GS\d+")

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from gradscope.render.graph import Drawing


@dataclass(frozen=True, slots=True)
class ModelSummary:
    """One line of the report's table of models."""

    name: str
    class_name: str
    state: State
    parameters: int
    trainable: int
    flowing: int
    grad_norm: float | None
    """2-norm over all its parameters at the last backward that reached it; None if none did."""
    applied_norm: float | None = None
    """The same as an optimizer last found it, if it was not what backward() left: unscaled, clipped."""


@dataclass(frozen=True, slots=True)
class FlowRow:
    """One `backward()` line of the user's code: the gradient norm it left in each model, None where it left none."""

    location: Location | None
    count: int
    models: dict[str, float | None]
    reached: frozenset[str] = frozenset()
    """The models in which it ever left a gradient, also where no norm of it was kept."""
    times: Mapping[str, int] = field(default_factory=dict)
    """Of those that not all its passes left: how many did. Of a NaN or Inf, how many left one."""
    idle: Mapping[str, int] = field(default_factory=dict)
    """Per model that it reached, but not in its last calls: how many of these calls."""


@dataclass(frozen=True)
class Report:
    """What happened (`run`) and what is wrong with it (`findings`, worst first)."""

    run: Run
    passed: int = 0
    """Errors and warnings that the user lets pass; they are not among the findings."""

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        return diagnose(self.run)

    @property
    def ok(self) -> bool:
        """Something was trained, and no finding is an error or a warning."""
        return self.run.trained and not any(f.severity in (Severity.ERROR, Severity.WARNING) for f in self.findings)

    @cached_property
    def states(self) -> dict[int, State]:
        """Per parameter uid, what its gradient did over the run."""
        return parameter_states(self.run)

    @cached_property
    def models(self) -> tuple[ModelSummary, ...]:
        return tuple(
            ModelSummary(
                name=model.name,
                class_name=model.class_name,
                state=state,
                parameters=len(model.parameters),
                trainable=sum(self.run.parameters[u].trainable for u in model.parameters),
                flowing=sum(self._flows(u) for u in model.parameters),
                grad_norm=last_norm(self.run, model.parameters),
                applied_norm=applied_norm(self.run, model.parameters),
            )
            for model, state in model_states(self.run)
        )

    @cached_property
    def flow(self) -> tuple[FlowRow, ...]:
        """The matrix backward line x model: which loss trains what."""
        rows: dict[Location | None, list[Any]] = {line.location: [] for line in self.run.lines}
        for event in self.run.passes:
            rows.setdefault(event.location, []).append(event)
        return tuple(self._flow_row(location, events) for location, events in rows.items())

    def _flow_row(self, location: Location | None, events: list[Any]) -> FlowRow:
        counted = next((line for line in self.run.lines if line.location == location), None)
        reached = counted.reached if counted else frozenset(uid for event in events for uid in event.norms)
        models = {name: reached.intersection(uids) for name, uids in ever(self.run).items()}
        count = counted.count if counted else len(events)
        last = counted.last if counted else {}
        since = {name: min(count - 1 - last.get(u, count - 1) for u in uids) for name, uids in models.items() if uids}
        left = {name: sizes(events, uids) for name, uids in ever(self.run).items()}
        return FlowRow(
            location,
            count,
            {name: usual(found) for name, found in left.items()},
            frozenset(since),
            {name: n for name, found in left.items() if 0 < (n := times(found)) < count == len(events)},
            {name: number for name, number in since.items() if number},
        )

    def _flows(self, uid: int) -> bool:
        """Whether a gradient comes, if only now and then, and has not stopped to come."""
        return self.states[uid] in (State.FLOWING, State.INTERMITTENT) and uid not in stopped(self.run)

    # --- saying it -------------------------------------------------------------------------------------------

    def __str__(self) -> str:
        from gradscope.render.text import render_text

        narrow = sys.stdout is not None and sys.stdout.isatty()
        return render_text(self, width=shutil.get_terminal_size().columns) if narrow else render_text(self)

    def __repr__(self) -> str:
        from gradscope.render.verdict import verdict

        said = verdict(self)
        return f"<Report: {said.headline}; {said.counts}>"

    def _repr_html_(self) -> str:
        return self._repr_mimebundle_()["text/html"]

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        from gradscope.render.html import render_cell
        from gradscope.render.sources import read_sources

        return {"text/plain": str(self), "text/html": render_cell(self, sources=read_sources(self))}

    def to_dict(self) -> dict[str, Any]:
        """The JSON contract (schema 1) as plain dicts and lists."""
        from gradscope.render.json import to_dict

        return to_dict(self)

    def save(self, path: str | Path) -> Path:
        """Write the report to `path`; the suffix (.html, .json, .md, .txt) decides the form.

        Raises GradscopeError for another suffix.
        """
        path = Path(path)
        renderers: dict[str, Callable[[], str]] = {
            ".html": self._html,
            ".json": self._json,
            ".md": self._markdown,
            ".txt": self.__str__,
        }
        if path.suffix not in renderers:
            raise GradscopeError(f"cannot save a report as {path.name!r}: the name must end in {', '.join(renderers)}")
        path.write_text(renderers[path.suffix](), encoding="utf-8")
        return path

    def _html(self) -> str:
        from gradscope.render.html import render_page
        from gradscope.render.sources import read_sources

        return render_page(self, sources=read_sources(self))

    def _json(self) -> str:
        from gradscope.render.json import render_json

        return render_json(self)

    def _markdown(self) -> str:
        from gradscope.render.markdown import render_markdown

        return render_markdown(self)

    def to_frame(self) -> Any:
        """One row per parameter: a pandas DataFrame, or a polars one where pandas is not installed.

        Raises MissingExtraError if neither is.
        """
        from gradscope.render.frame import to_frame

        return to_frame(self)

    # --- drawing it ------------------------------------------------------------------------------------------

    def plot_histograms(self, ax: Axes | None = None, model: str | None = None, parameter: str | None = None) -> Figure:
        """Histograms of the gradients, one panel per model, or per parameter whose name begins with `parameter`."""
        from gradscope.render.figures import plot_histograms

        return plot_histograms(self, ax, model=model, parameter=parameter)

    def plot_norms(self, ax: Axes | None = None) -> Figure:
        """Gradient norm of each model over the backward passes."""
        from gradscope.render.figures import plot_norms

        return plot_norms(self, ax)

    def plot_flow(self, ax: Axes | None = None) -> Figure:
        """The flow matrix as a heat map: which `backward()` line reached which model."""
        from gradscope.render.figures import plot_flow

        return plot_flow(self, ax)

    def plot_depth(self, ax: Axes | None = None) -> Figure:
        """Gradient norm along the depth of each model, absences marked."""
        from gradscope.render.figures import plot_depth

        return plot_depth(self, ax)

    def plot_heatmap(self, ax: Axes | None = None) -> Figure:
        """Parameter by step: log10 of the gradient norm, absences hatched."""
        from gradscope.render.figures import plot_heatmap

        return plot_heatmap(self, ax)

    def plot_updates(self, ax: Axes | None = None) -> Figure:
        """Update ratio of each model over the optimizer steps."""
        from gradscope.render.figures import plot_updates

        return plot_updates(self, ax)

    def graph(self, depth: int = 2, *, detail: str = "modules") -> Drawing:
        """The traced step as a graph: models as clusters, the dead part grey, the cut in red with its line.

        Modules are folded to `depth` levels of their names: 0 is a box per model, 2 tells `layers.0` from `layers.1`.
        What gets no gradient, a part or another call, is a box of its own.

        Raises GradscopeError for a depth below 0, and for another detail than `modules`: a report keeps no tensor to
        draw operations from.
        """
        from gradscope.render.graph import draw_graph

        if detail == "ops":
            names = ", ".join(f"{m.name}={m.name}" for m in self.run.models if m.name.isidentifier())
            call = f"gradscope.graph({', '.join(filter(None, ['loss', names]))}, detail='ops')"
            raise GradscopeError(f"the graph of single operations needs the live loss, not a report: use {call}")
        if detail != "modules":
            raise GradscopeError(f"detail={detail!r} makes no sense: a report draws 'modules'")
        return draw_graph(self, depth=depth)

    # --- guarding it -----------------------------------------------------------------------------------------

    def assert_flow(self, *, allow: Iterable[str] = (), warnings: bool = False) -> None:
        """Raise GradientFlowError if nothing was trained or a finding is an error, with `warnings=True` also a warning.

        `allow` names models, parameters (`model.fqn`, or a prefix of it), rule codes or causes to let pass.

        Raises GradscopeError for a name that means nothing in this run.
        """
        from gradscope.render.text import render_failure

        allow = (allow,) if isinstance(allow, str) else tuple(allow)
        for name in strangers(self.run, self.findings, allow):
            if _IS_CODE.fullmatch(name):
                raise GradscopeError(f"no rule {name}: `gradscope rules` lists them")
            models = ", ".join(model.name for model in self.run.models) or "none"
            raise GradscopeError(f"allow names {name!r}, no model, parameter, rule or cause here; models: {models}")
        if not self.run.trained and not self.findings:
            raise GradientFlowError("nothing was trained: no backward() was called, so no gradient flowed", self)
        loud = (Severity.ERROR, Severity.WARNING) if warnings else (Severity.ERROR,)
        failed = tuple(f for f in self.findings if f.severity in loud and not allowed(f, allow))
        if failed:
            raise GradientFlowError(render_failure(self, failed), self, failed)


def allowed(finding: Finding, allow: Iterable[str]) -> bool:
    """Whether an allow-list of models, parameter prefixes, rule codes or causes covers a finding whole."""
    allow = (allow,) if isinstance(allow, str) else tuple(allow)
    if {finding.code, finding.name, finding.cause, finding.model} & set(allow):
        return True
    names = [f"{finding.model}.{fqn}" for fqn in finding.parameters]
    return bool(names) and all(any(n == a or n.startswith(f"{a}.") for a in allow) for n in names)
