"""The drawn graph of a report: models as clusters, the dead part in grey, each cut in red with its line.

A run that was not traced has no graph; then the models and the `backward()` lines stand for it (`bare`).
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from gradscope.diagnosis.finding import State
from gradscope.errors import GradscopeError
from gradscope.render.bare import bare_graph
from gradscope.render.centred import centred
from gradscope.render.crowd import crowd_clusters, merge_crowd, shown
from gradscope.render.dot import to_dot
from gradscope.render.engine import Layout, layout
from gradscope.render.fold import Folding
from gradscope.render.folded import Picture
from gradscope.render.known import Known, Worth, known_of
from gradscope.render.labels import WORTH_WORDS
from gradscope.render.looks import Cluster, Look
from gradscope.render.palette import model_colour
from gradscope.render.shapes import Key
from gradscope.render.tied import tied, tied_words
from gradscope.render.words import STATE_WORDS, drawn_steps, is_split, listing, number

if TYPE_CHECKING:
    from gradscope.report import ModelSummary, Report

# Graphviz titles every shape with the name of its node, and puts the tooltip where browsers do not look.
_NAME = re.compile(r"<title>[^<]*</title>\n?")
_TIP = re.compile(r'<a xlink:title="([^"]*)">')

_DEAD = (State.NONE, State.UNUSED, State.FROZEN)


class Drawing:
    """DOT text that shows itself: `source` is always there, pictures need a Graphviz, else `reason` says why not."""

    def __init__(self, source: str) -> None:
        self.source = source
        self._layouts: dict[str, Layout] = {}

    def svg(self) -> str | None:
        """The picture as an `<svg>` element, or None."""
        data = self._layout("svg").data
        if data is None:
            return None
        text = data.decode("utf-8")
        text = _NAME.sub("", text[max(text.find("<svg"), 0) :])
        return _TIP.sub(r"\g<0><title>\1</title>", text)

    def png(self) -> bytes | None:
        """The picture as PNG, or None."""
        return self._layout("png").data

    @property
    def reason(self) -> str | None:
        """Why there is no picture, in one sentence; None if there is one."""
        return self._layout("svg").reason

    def save(self, path: str | Path) -> Path:
        """Write to `path` (.dot, .gv, .svg, .png or .pdf) and return what was written.

        Where no picture can be made, the DOT text is written beside it with a warning. Another suffix raises
        GradscopeError.
        """
        path = Path(path)
        form = path.suffix[1:].lower()
        if form in ("dot", "gv"):
            path.write_text(self.source, encoding="utf-8")
            return path
        if form not in ("svg", "png", "pdf"):
            raise GradscopeError(f"cannot save a graph as {path.name!r}: use .dot, .gv, .svg, .png or .pdf")
        result = self._layout(form)
        if result.data is None:
            path = path.with_suffix(".dot")
            path.write_text(self.source, encoding="utf-8")
            warnings.warn(f"{result.reason} The DOT text is in {path.name}.", stacklevel=2)
            return path
        path.write_bytes(result.data)
        return path

    def _layout(self, form: str) -> Layout:
        if form not in self._layouts:
            made = layout(self.source, form)
            if form == "svg" and made.data is not None:
                made = replace(made, data=centred(made.data.decode("utf-8")).encode("utf-8"))
            self._layouts[form] = made
        return self._layouts[form]

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        picture = self.svg()
        if picture is None:
            return {"text/plain": f"{self.reason}\n\n{self.source}"}
        return {"text/plain": self.source, "image/svg+xml": picture}

    def __str__(self) -> str:
        return self.source


View: TypeAlias = tuple[Picture, Drawing]
DEPTH = 2
"""Levels of module names that are told apart where nothing else is asked for."""

UNTRACED = (
    "No step was traced: how parts and models feed each other is not known.",
    "gradscope.explain(step) and `gradscope run` trace one.",
    "Boxes have the norm of the last pass, lines the median over all.",
)


def check_depth(depth: object) -> None:
    """Raise GradscopeError for what is no number of levels."""
    if not isinstance(depth, int) or depth < 0:
        raise GradscopeError(f"depth={depth!r} makes no sense: it is how many levels of module names are told apart")


def draw_graph(report: Report, depth: int = DEPTH) -> Drawing:
    """Draw the traced step with modules folded to `depth` levels of their names."""
    check_depth(depth)
    return Views(report).at(depth)[1]


class Views:
    """The traced step of a report, to be drawn at any depth, also with some modules opened further."""

    def __init__(self, report: Report) -> None:
        self._report = report
        known = known_of(report)
        graph, self._crowds = merge_crowd(report.run.graph or bare_graph(report), frozen=known.frozen)
        crowds = {member: crowd.name for crowd in self._crowds for member in crowd.members}
        self._folding = Folding(graph, known.gathered(crowds))
        self.size = len(graph.nodes)

    def at(self, depth: int) -> View:
        """Folded to a depth."""
        return self._drawn(self._folding.at(depth))

    def opened(self, depth: int, modules: Collection[Key]) -> View | None:
        """Folded to a depth with these modules opened, or None where nobody could read it."""
        picture = self._folding.opened(depth, modules)
        return self._drawn(picture) if picture is not None else None

    def _drawn(self, picture: Picture) -> View:
        report, known = self._report, self._folding.known
        models = {box.model for box in picture.boxes} - known.crowds
        parts = _parts_of_others(report, models)
        clusters = [c for c in shown(_clusters(report, models, known), self._crowds) if c.name not in parts]
        clusters += crowd_clusters(self._crowds, picture, len(report.models))
        traced = report.run.graph
        part = ", of the parts that this rank holds" if is_split(report) else ""
        step = () if traced is None else (f"Norms are those of {drawn_steps(traced)}{part}.",)
        which = UNTRACED if traced is None else step * (report.run.steps > 1)
        within = [f"{name} is drawn as a part of {listing(homes, 2)}." for name, homes in parts.items()]
        one = tied_words(tied(report.run, parts))
        remarks = (*picture.remarks, *([] if self._crowds else [*within, *one]), *which)
        return picture, Drawing(to_dot(replace(picture, remarks=remarks), clusters))


def _parts_of_others(report: Report, drawn: set[str]) -> dict[str, list[str]]:
    """Models whose parameters all have an earlier name in other models, under which they are drawn."""
    found: dict[str, list[str]] = {}
    for model in report.run.models:
        owners = [report.run.parameters[uid].owners[0].model for uid in model.parameters]
        if owners and model.name not in {*owners, *drawn}:
            found[model.name] = list(dict.fromkeys(owners))
    return found


def _clusters(report: Report, drawn: set[str], known: Known) -> list[Cluster]:
    clusters = []
    parameters = {model.name: model.parameters for model in report.run.models}
    for index, model in enumerate(report.models):
        worths = {known.told.get(uid, Worth.SOUND) for uid in parameters.get(model.name, ())}
        tiny = worths if worths <= {Worth.VANISHING, Worth.EXPLODING} else set()
        words = f"gradient {WORTH_WORDS[next(iter(tiny))]}" if len(tiny) == 1 else _words(report, model)
        look = Look.LIVE if tiny else _look_of(model.state)
        clusters.append(Cluster(model.name, model.class_name, words, model_colour(index), look))
    others = sorted(drawn - {model.name for model in report.models} - {""})
    return clusters + [Cluster(n, "", "", model_colour(len(clusters) + i)) for i, n in enumerate(others)]


def _look_of(state: State) -> Look:
    if state in _DEAD:
        return Look.DEAD
    return {State.ZERO: Look.ZERO, State.NONFINITE: Look.NONFINITE}.get(state, Look.LIVE)


def _words(report: Report, model: ModelSummary) -> str:
    """What a model got: in the drawn step where it was measured, so that what the boxes show adds up to it."""
    words = STATE_WORDS[model.state]
    if model.state not in (State.FLOWING, State.INTERMITTENT):
        return words
    graph = report.run.graph
    nodes = [n for n in graph.nodes if n.kind == "parameter" and n.model == model.name] if graph is not None else []
    norms = [n.norm for n in nodes if n.norm is not None]
    if nodes and not any(n.live for n in nodes):
        return f"{words}, but not in the drawn step"
    norm = math.hypot(*norms) if norms else model.grad_norm
    return words if norm is None else f"norm {number(norm)}"
