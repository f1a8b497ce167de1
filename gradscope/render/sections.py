"""The parts of the HTML page, top to bottom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gradscope.diagnosis.finding import Severity, State
from gradscope.diagnosis.idle import stopped
from gradscope.render.findings import anchor, article
from gradscope.render.flows import flow_words
from gradscope.render.markup import Markup, join, table, tag, words
from gradscope.render.pictures import figures
from gradscope.render.table import (
    STATE_TONES,
    Tone,
    flow_table,
    parameters_table,
    place,
    ranks_table,
    state_of,
    turned_flow_table,
)
from gradscope.render.twins import folded
from gradscope.render.verdict import verdict
from gradscope.render.words import census, count, drawn_steps, known_words, number, split_models

if TYPE_CHECKING:
    from gradscope.diagnosis.finding import Finding
    from gradscope.render.pictures import Drawn
    from gradscope.render.sources import Sources
    from gradscope.report import ModelSummary, Report

_RANKS = 256
_COUNTED = "; the counts and states are of all of them"
_ADDED = "What earlier passes left, and nobody cleared, is in it."
_OWN = "gradscope's hooks took {:.2g} s in all, and its records {:.2g} MB; it keeps so many events and no more"
_CARDS = 12
"""Of more models than these, the well ones are folded away."""

_LINE, _PADDING, _TURNED = 64, 3, 4
"""Characters of model names, with what is between them, beside which the backward lines have no room; and so many
lines of them at the most are columns instead."""


@dataclass(frozen=True, slots=True)
class Section:
    """A landmark of the page; one without a body is left out."""

    id: str
    title: str
    body: Markup

    def markup(self) -> Markup:
        heading = tag("h2", self.title, id=f"{self.id}-title")
        return tag("section", heading, self.body, id=self.id, aria_labelledby=f"{self.id}-title")


def all_sections(report: Report, sources: Sources, drawn: Drawn | None, *, light: bool = False) -> list[Section]:
    """Every section in the order of the page. A light page has no figures: a notebook keeps it with every output."""
    findings = join(*(article(report, shown, sources) for shown in folded(report.findings)))
    return [
        Section("models", "Models", _models(report)),
        Section("findings", "Findings", findings),
        Section("flow", "Which loss trains what", _flow(report)),
        Section("ranks", "Ranks", _ranks(report)),
        Section("graph", "Graph", _graph(report, drawn)),
        Section("figures", "Figures", Markup() if light else _figures(report)),
        Section("parameters", "Parameters", _parameters(report)),
        Section("seen", "What was seen", _seen(report)),
    ]


def header(report: Report) -> Markup:
    """The verdict: one sentence and how it was reached."""
    said = verdict(report)
    kind = said.worst.value if said.worst else "ok"
    run = report.run
    name = join("gradscope", *((" report on ", tag("code", run.script)) if run.script else (" report",)))
    return tag(
        "header",
        tag("p", name, class_="product"),
        tag("h1", words(said.headline), class_="verdict"),
        tag("p", said.counts, class_="counts"),
        class_=f"v-{kind}",
    )


def footer(report: Report) -> Markup:
    """Which versions made the report."""
    run = report.run
    made = [f"{name} {version}" for name, version in (("gradscope", run.gradscope), ("torch", run.torch)) if version]
    return tag("footer", tag("p", ", ".join(made)))


def _models(report: Report) -> Markup:
    shown, rest = split_models(report, _CARDS)
    if not shown:
        return Markup()
    if not rest:
        return _cards(report, shown)
    more = tag("summary", f"{count(len(rest), 'more model', 'more models')}: {census(m.state for m in rest)}")
    return join(_cards(report, shown), tag("details", more, _cards(report, rest)))


def _cards(report: Report, models: list[ModelSummary]) -> Markup:
    return tag("ul", *(tag("li", _card(report, model)) for model in models), class_="cards")


def _card(report: Report, model: ModelSummary) -> Markup:
    found = [(i, finding) for i, finding in enumerate(report.findings) if finding.model == model.name]
    links = [tag("li", _link(i, finding)) for i, finding in found]
    tone = STATE_TONES[model.state]
    if tone is Tone.GOOD and any(finding.severity is Severity.ERROR for _, finding in found):
        tone = Tone.NONE
    held = f"{model.flowing} of {count(model.trainable, 'parameter')} flowing{_at_times(report, model)}"
    if not model.trainable:
        held = f"{count(model.parameters, 'parameter')}, none trainable"
    frozen = model.parameters - model.trainable if model.trainable else 0
    applied = f", applied {number(model.applied_norm)}" if model.applied_norm is not None else ""
    return tag(
        "article",
        tag("h3", tag("code", model.name)),
        tag("p", model.class_name, class_="class") if model.class_name else "",
        tag("p", state_of(model).text, class_=f"state t-{state_of(model).tone}"),
        tag("progress", max=str(max(model.trainable, 1)), value=str(model.flowing), aria_label=f"{model.name}: {held}"),
        tag("p", held + (f", {frozen} frozen" if frozen else ""), class_="quiet"),
        tag("p", "last gradient norm ", tag("b", number(model.grad_norm)), applied, class_="quiet"),
        tag("ul", *links, class_="links") if links else "",
        class_=f"card b-{tone}",
    )


def _at_times(report: Report, model: ModelSummary) -> str:
    """How many of those that flow are intermittent, and how many are so no more: the rest gets one at each step."""
    mine = next((each.parameters for each in report.run.models if each.name == model.name), ())
    sometimes = sum(report.states[uid] is State.INTERMITTENT for uid in mine)
    over = sum(report.states[uid] is State.INTERMITTENT and uid in stopped(report.run) for uid in mine)
    return f" ({sometimes - over} intermittent)" * (sometimes > over) + f", {over} no more" * (over > 0)


def _link(index: int, finding: Finding) -> Markup:
    """A link to a finding; its name says more than the rule, which several may have."""
    rule = f"{finding.code} {finding.name}"
    return tag("a", rule, href=f"#{anchor(index)}", aria_label=f"{rule}: {finding.message}")


def _flow(report: Report) -> Markup:
    if not report.flow:
        return Markup()
    caption = f"{flow_words(report).capitalize()}; a dash where it left none. {_ADDED}"
    wide = sum(len(model.name) + _PADDING for model in report.models) > _LINE
    if wide and len(report.flow) <= _TURNED:  # on paper nothing scrolls
        return _scroller("Flow matrix", table(turned_flow_table(report, report.models), caption=caption, class_="flow"))
    return _scroller("Flow matrix", table(flow_table(report, report.models), caption=caption, class_="flow"))


def _ranks(report: Report) -> Markup:
    job = report.run.job
    if job is None:
        return Markup()
    caption = f"{job.heard} of {job.world} ranks heard; the other sections tell what rank {job.reporter} saw."
    return _scroller("Table of ranks", table(ranks_table(job, _RANKS), caption=caption), tall=True)


def _graph(report: Report, drawn: Drawn | None) -> Markup:
    if drawn is None:
        return Markup()
    source = tag(
        "details", tag("summary", "Graphviz source"), _scrolled_text("Source of the graph", drawn), class_="source"
    )
    if drawn.svg is None:
        return join(tag("p", drawn.reason), source)
    label = "Graph. Arrow keys move it, plus and minus zoom, 0 shows all, Backspace closes what was opened."
    views = [
        tag("div", level.svg, class_="level", data_depth=None if level.depth is None else str(level.depth))
        for level in drawn.levels
    ]
    paper = tag("div", *views, class_="paper", tabindex="0", role="group", aria_label=label)
    traced = report.run.graph
    says = "No step was traced: the modules and the backward lines stand for it."
    if traced is not None:
        shown = drawn_steps(traced).capitalize()
        says = f"{shown} as {'it was' if traced.first is None else 'they were'} traced, forward from top to bottom."
    return join(tag("p", says, class_="quiet"), tag("div", _depths(drawn), paper, class_="graph"), source)


def _depths(drawn: Drawn) -> Markup:
    """The choice of a depth, which works without a script."""
    depths = [level for level in drawn.levels if level.depth is not None]
    if len(depths) < 2:
        return Markup()
    choices = [
        tag(
            "label",
            tag(
                "input",
                type="radio",
                name="depth",
                value=str(level.depth),
                data_depth=str(level.depth),
                checked="" if level.first else None,
            ),
            f"depth {level.depth}" if level.depth else "models",
        )
        for level in depths
    ]
    return tag("fieldset", tag("legend", "Modules opened to"), *choices, class_="depths")


def _figures(report: Report) -> Markup:
    shown = figures(report)
    if not shown:
        return Markup()
    made = [
        tag(
            "figure",
            tag(
                "div",
                tag("img", src=p.uri, alt=p.title),
                class_="strip",
                tabindex="0",
                role="region",
                aria_label=f"Figure: {p.title}",
            ),
            tag("figcaption", p.says),
            class_="wide" if p.wide else None,
        )
        for p in shown
    ]
    return tag("div", *made, class_="figures")


def _parameters(report: Report) -> Markup:
    content = parameters_table(report)
    if not content.rows:
        return Markup()
    search = tag(
        "p",
        tag("label", "Search ", tag("input", type="search", data_filter="all-parameters", autocomplete="off")),
        tag("output", count(len(content.rows), "parameter"), aria_live="polite", data_count="all-parameters"),
        class_="search",
    )
    body = table(content, id_="all-parameters", caption="Every parameter, in the order of the models.", class_="all")
    return join(search, _scroller("All parameters", body, tall=True))


def _seen(report: Report) -> Markup:
    run = report.run
    known = known_words(run)
    facts = [
        f"{count(run.steps, 'step')}, {count(run.backwards, 'backward pass', 'backward passes')}, "
        f"{count(run.traced, 'step')} traced",
        *([known + _COUNTED] if known else []),
        *([_OWN.format(run.cost.seconds, run.cost.bytes / 1e6)] if run.cost.seconds else []),
        *(
            f"{o.class_name} {o.name}: {count(len(o.parameters), 'parameter')}, {count(o.steps, 'step')}, "
            f"built at {place(o.built[-1] if o.built else None)}"
            for o in run.optimizers
        ),
    ]
    idle = [model.name for model in run.models if model.expected_idle]
    facts += [f"{name} was declared to get no gradient" for name in idle]
    over = sum(report.states[uid] is State.INTERMITTENT for uid in stopped(run))
    counted = census(report.states.values()) + f"; {over} of the intermittent no more" * (over > 0)
    states = tag("p", "All parameters: ", counted, class_="quiet") if report.states else ""
    lists = [tag("ul", *(tag("li", fact) for fact in facts)), states]
    if run.notes:
        lists += [tag("h3", "Not seen"), tag("ul", *(tag("li", words(note)) for note in run.notes))]
    return join(*lists)


def _scroller(label: str, content: Markup, *, tall: bool = False) -> Markup:
    """A region that scrolls by itself, which the keyboard can reach."""
    return tag(
        "div", content, class_="scroll tall" if tall else "scroll", tabindex="0", role="region", aria_label=label
    )


def _scrolled_text(label: str, drawn: Drawn) -> Markup:
    return tag("pre", tag("code", *_lines(drawn.source)), tabindex="0", role="region", aria_label=label)


def _lines(source: str) -> list[str]:
    return [part for line in source.splitlines() for part in (line, Markup("\n"))]
