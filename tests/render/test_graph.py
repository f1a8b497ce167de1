"""The drawn graph says who got no gradient and where it was cut, at any size and with any name."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest
import torch
from torch import nn

import gradscope
from gradscope.errors import GradscopeError
from gradscope.records import Edge, Graph, Node, Run, Tally
from gradscope.render.boxes import Kind
from gradscope.render.fold import fold
from gradscope.render.folded import Line
from gradscope.render.graph import Views, draw_graph
from gradscope.render.labels import cause_words
from gradscope.render.palette import CUT
from gradscope.render.stream import Flow
from gradscope.report import Report
from tests.render import graph_builders as build
from tests.render.every_picture import unplated
from tests.render.figure_builders import report_for_figures

ALL = [
    build.two_model_cut,
    build.gan,
    build.unrolled_rnn,
    build.deep_net,
    build.transformer,
    build.many_models,
    build.irregular,
    build.untraced,
    build.hostile,
]


@pytest.mark.parametrize("builder", ALL, ids=lambda b: b.__name__)
def test_same_facts_same_bytes_and_a_picture(builder):
    drawing = draw_graph(builder())

    assert drawing.source == draw_graph(builder()).source
    assert drawing.reason is None
    assert ET.fromstring(drawing.svg()).tag.endswith("svg")


def test_order_of_records_does_not_matter_for_ids():
    graph = build.two_model_cut().run.graph
    shuffled = replace(graph, nodes=graph.nodes[::-1])

    assert fold(shuffled) == fold(graph)


# --- the cut ------------------------------------------------------------------------------------------------------


def test_cut_is_drawn_with_its_line_and_the_dead_part_in_grey():
    report = build.two_model_cut()
    picture = fold(report.run.graph)

    (mark,) = picture.marks
    assert (mark.cause, str(mark.location), mark.harmful) == ("detach", "extractor.py:14", True)
    assert picture.boxes[mark.source].path == ("norm",)
    assert [picture.boxes[t].path for t in mark.targets] == [("stem",)]
    assert {b.flow for b in picture.boxes if b.model == "encoder"} == {Flow.DEAD}
    assert {b.flow for b in picture.boxes if b.model == "decoder"} == {Flow.LIVE}

    source = draw_graph(report).source
    assert "<b>detach at extractor.py:14</b>" in source
    assert "self.latents = output.clone().detach()" in source
    assert "train.py:50" in source
    assert re.search(r'-> c0 \[color="#D0312D", penwidth=3.5, arrowhead=tee', source)
    assert re.search(r"c0 -> n\d+ \[.*dotted", source)


@pytest.mark.parametrize(
    ("kind", "requires", "said"),
    [
        ("op", True, "last live tensor: mean"),
        ("module", True, "last live tensor: output of mean"),
        ("op", False, "computed without gradient"),
        ("module", False, "computed without gradient"),
        ("op", None, ""),
        ("parameter", True, ""),
    ],
)
def test_a_cut_says_what_it_took_the_gradient_of(kind, requires, said):
    s = build.Sketch()
    h = s.layer("encoder", "body", s.node("input", "x", live=False), live=False)
    source = s.node(kind, "mean", "encoder", live=False)
    s.edges.append(Edge(h, source, live=False))
    s.cut(source, s.node("op", "clone", live=False), "no_grad", requires=requires)
    s.loss(s.layer("decoder", "head", len(s.nodes) - 1))
    source = draw_graph(build.report_of(s, {"encoder": "E", "decoder": "D"}, dead=("encoder",))).source
    words = ("last live tensor", "computed without gradient")
    assert said in source if said else not any(each in source for each in words)
    assert ("last live tensor" in source) == said.startswith("last live tensor")


def test_of_a_gradient_that_becomes_zero_no_last_live_tensor_is_told():
    s = build.Sketch()
    h = s.op("mul", "encoder", "", s.layer("encoder", "body", s.node("input", "x", live=False)))
    behind = s.op("relu", "", "")
    s.edges.append(Edge(h, behind, live=False, norm=0.0, cut="dead_relu", location=build.CUT_LINE, requires=True))
    s.loss(s.layer("decoder", "head", behind))
    source = draw_graph(build.report_of(s, {"encoder": "E", "decoder": "D"})).source
    assert "dead ReLU" in source
    assert "last live" not in source


def test_value_behind_a_cut_goes_on_as_a_ghost():
    s = build.Sketch()
    h = s.layer("encoder", "fc", s.node("input", "x", live=False), live=False)
    ghost = s.node("op", "detach", live=False)
    s.cut(h, ghost)
    for name in ("SoftmaxBackward0", "MulBackward0", "SumBackward0", "ExpBackward0"):
        ghost = s.op(name, "", "", ghost, live=False)
    s.loss(ghost)
    picture = fold(s.graph())

    assert [b.flow for b in picture.boxes if b.kind is Kind.GLUE] == [Flow.GHOST]
    assert [link.line for link in picture.links if picture.boxes[link.target].kind is Kind.LOSS] == [Line.GHOST]


def test_second_model_cut_again_is_dead_not_a_ghost():
    s = build.Sketch()
    first = s.layer("a", "fc", s.node("input", "x", live=False), live=False)
    between = s.node("op", "detach", live=False)
    s.cut(first, between)
    second = s.layer("b", "fc", between, live=False)
    after = s.node("op", "detach", live=False)
    s.cut(second, after)
    s.loss(s.layer("c", "fc", after))
    picture = fold(s.graph())

    assert {b.model: b.flow for b in picture.boxes if b.model} == {"a": Flow.DEAD, "b": Flow.DEAD, "c": Flow.LIVE}
    assert len(picture.marks) == 2


def test_harmless_cut_is_thin_and_logging_is_not_drawn():
    picture = fold(build.gan().run.graph)
    s = build.Sketch()
    h = s.layer("net", "fc", s.node("input", "x", live=False))
    s.cut(h, s.node("op", "item", live=False))
    s.loss(h)

    assert [mark.harmful for mark in picture.marks] == [False]
    assert fold(s.graph()).marks == ()


def test_gan_shows_both_ways_and_each_loss_its_own_glue():
    picture = fold(build.gan().run.graph)
    ends = {(picture.boxes[k.source].model, picture.boxes[k.target].model): k.line for k in picture.links}

    assert ends["generator", "critic"] is Line.LIVE
    assert sum(b.kind is Kind.GLUE for b in picture.boxes) == 2
    assert sum(b.kind is Kind.LOSS for b in picture.boxes) == 2


def test_a_cut_inside_a_model_is_told_inside_it():
    s = build.Sketch()
    h = s.layer("net", "first", s.node("input", "x", live=False), live=False)
    kept = s.node("op", "detach", "net", "", live=False)
    s.cut(h, kept)
    s.loss(s.layer("net", "second", kept))
    source = draw_graph(build.report_of(s, {"net": "Net"})).source

    assert re.search(r"^    c0 \[label", source, re.MULTILINE)


def test_a_finding_whose_cut_is_not_drawn_is_a_badge_on_the_box():
    s = build.Sketch()
    uid = 0
    made = s.op("AddmmBackward0", "encoder", "fc", s.node("input", "x", live=False), live=False)
    leaf = s.node("parameter", "weight", "encoder", "fc", live=False, uid=uid)
    s.edges.append(Edge(leaf, made, live=False))
    s.loss(s.layer("decoder", "fc", s.node("input", "y", live=False)))
    report = build.report_of(s, {"encoder": "Encoder", "decoder": "Decoder"}, dead=("encoder",))
    source = draw_graph(report).source

    assert unplated(report, source) == []
    assert "GS101 no gradient" in source
    assert re.search(r"n\d+ -> b0 \[.*arrowhead=tee", source)


def test_zero_and_nan_look_like_neither_a_healthy_gradient_nor_a_missing_one():
    looks = set()
    for norm in (0.3, 0.0, float("nan"), None):
        s = build.Sketch()
        h = s.layer("net", "fc", s.node("input", "x", live=False), live=norm is not None, norm=norm)
        s.edges[-1] = replace(s.edges[-1], norm=norm)
        s.loss(h, norm=norm)
        source = draw_graph(build.report_of(s, {"net": "Net"})).source
        looks.add((re.search(r"n0 \[label=<.*?>, (.*?), id", source)[1], re.search(r"n0 -> n\d \[(.*?),", source)[1]))

    assert len(looks) == 4


@pytest.mark.parametrize("norm", [None, 0.0, float("nan")])
def test_behind_a_plate_only_a_missing_gradient_is_dotted(norm):
    s = build.Sketch()
    h = s.layer("net", "fc", s.node("input", "x", live=False), live=norm is not None, norm=norm)
    behind = s.node("op", "MulBackward0")
    s.edges.append(Edge(h, behind, live=False, cut="nan_in_data", location=build.CUT_LINE, norm=norm))
    s.loss(behind)
    source = draw_graph(build.report_of(s, {"net": "Net"})).source

    assert ("style=dotted" in re.search(r"c0 -> n\d \[(.*?)\]", source)[1]) is (norm is None)
    assert ("does not come back" in source) is (norm is None)


@pytest.mark.parametrize("applied", [False, True])
def test_a_spared_nan_of_another_step_paints_nothing_red(applied):
    s = build.Sketch()
    s.loss(s.layer("net", "fc", s.node("input", "x", live=False), norm=0.398))
    run = build.report_of(s, {"net": "Net"}).run
    fc = next(node for node in run.graph.nodes if node.kind == "parameter")
    tally = Tally(
        backwards=4, measured=4, nonfinite=1, first_nonfinite=1, steps=4, stepped_nonfinite=int(applied), norm_last=0.4
    )
    run = replace(run, tallies={0: tally}, graph=_renumbered(run.graph, {fc.uid: 0}))
    report = Report(run)
    source = draw_graph(report).source

    assert "GS301" in [f.code for f in report.findings]
    assert (CUT in source) is applied
    assert ("NaN or Inf in another step" in source) is applied
    assert "gradient NaN or Inf<" not in source


def _renumbered(graph, uids):
    return replace(graph, nodes=tuple(replace(n, uid=uids.get(n.uid)) for n in graph.nodes))


# --- odd graphs ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "graph",
    [
        Graph(),
        Graph((Node(0, "loss", "loss"),)),
        Graph((Node(3, "op", "a", "m", "x"), Node(7, "op", "b", "m", "y")), (Edge(3, 7), Edge(7, 3), Edge(3, 3))),
        Graph((Node(0, "op", "a"),), (Edge(0, 99), Edge(98, 0, cut="detach"))),
        Graph((Node(0, "op", "a", "m"),), (Edge(0, 0, live=False, cut="detach"),)),
        Graph((Node(0, "op", "a", live=False), Node(1, "op", "b")), (Edge(0, 1, norm=float("inf")),), truncated=5),
        Graph((Node(0, "strange", "a", "m", "..x."), Node(1, "op", "b", "m", "x")), (Edge(0, 1, norm=0.0),)),
    ],
)
@pytest.mark.parametrize("depth", [0, 1, 2])
def test_any_graph_can_be_drawn(graph, depth):
    drawing = draw_graph(Report(Run(graph=graph)), depth)

    assert drawing.reason is None
    assert ("5 nodes were left out" in drawing.source) == (graph.truncated == 5)


def test_untraced_run_draws_models_and_backward_lines():
    source = draw_graph(build.untraced()).source

    assert "detach at extractor.py:14" in source
    assert "loss.backward()" in source
    assert all(name in source for name in ("encoder", "decoder", "teacher"))
    assert draw_graph(Report(Run())).reason is None


def test_untraced_run_draws_the_modules_that_have_parameters():
    run = report_for_figures(("encoder", "decoder"), each=8).run
    run = replace(run, tallies={uid: replace(tally, norm_last=float(uid)) for uid, tally in run.tallies.items()})

    views = Views(Report(run))
    (picture, _), (deep, drawing) = views.at(0), views.at(2)
    assert {box.path for box in picture.boxes} == {()}
    assert {(b.model, b.path, b.repeats) for b in deep.boxes if b.parameters} == {
        ("encoder", ("layers", "0-3"), 4),
        ("decoder", ("layers", "0-3"), 4),
    }
    assert next(b.norms for b in deep.boxes if b.path and b.model == "decoder") == (
        math.hypot(8, 9),
        math.hypot(14, 15),
    )
    assert "no gradient" in drawing.source


def test_model_that_was_never_called_is_drawn():
    s = build.Sketch()
    s.loss(s.layer("used", "fc", s.node("input", "x", live=False)))

    assert "not in the traced step" in draw_graph(build.report_of(s, {"used": "A", "idle": "B"}, dead=("idle",))).source


# --- hostile names ------------------------------------------------------------------------------------------------


def test_hostile_names_stay_names(hostile):
    """Every label is the name itself: nothing in it became a tag, an edge, an escape or an entity."""
    s = build.Sketch()
    h = s.layer("a" + hostile, "m" + hostile.replace(".", ""), s.node("input", hostile, live=False), live=False)
    behind = s.node("op", hostile, live=False)
    bad = replace(build.CUT_LINE, file=hostile, text=hostile, function=hostile)
    s.cut(h, behind, cause="c" + hostile, location=bad)
    s.loss(s.layer("b", "fc", behind), label=hostile)
    plain = build.Sketch()
    plain.nodes, plain.edges = [replace(n, label="x", model=n.model[:1], module=n.module[:1]) for n in s.nodes], s.edges

    drawing = draw_graph(build.report_of(s, {"a" + hostile: "C" + hostile, "b": "B"}, dead=("a" + hostile,)))
    calm = draw_graph(build.report_of(plain, {"a": "C", "b": "B"}, dead=("a",)))
    tree = ET.fromstring(drawing.svg())

    assert drawing.reason is None
    assert len(tree.findall(".//{*}g")) == len(list(ET.fromstring(calm.svg()).findall(".//{*}g")))
    assert not [e for e in tree.iter() if e.tag.rpartition("}")[2] in ("script", "img", "image", "style")]
    assert not [e for e in tree.iter() if {"onload", "onerror", "href"} & set(e.attrib)]


@pytest.mark.parametrize(
    "name", ['q"uo"te', "<b>x</b>", "a -> b;", "back\\slash\\N", "&amp;&lt;", "a]; evil [label=x", "<!--", "--"]
)
def test_text_in_the_picture_is_the_name(name):
    s = build.Sketch()
    s.loss(s.layer("m" + name, name.replace(".", ""), s.node("input", name, live=False)))
    tree = ET.fromstring(draw_graph(build.report_of(s, {"m" + name: "C"})).svg())
    texts = {"".join(e.itertext()).replace("\xa0", " ").strip() for e in tree.findall(".//{*}text")}
    tips = {e.text for e in tree.findall(".//{*}title")}

    assert {name, "m" + name} <= texts
    assert "m" + name in tips


def test_bundle_and_suffixes(tmp_path):
    drawing = draw_graph(build.two_model_cut())
    bundle = drawing._repr_mimebundle_()

    assert bundle["image/svg+xml"].startswith("<svg")
    assert bundle["text/plain"] == drawing.source == str(drawing)
    for suffix, start in ((".svg", b"<"), (".png", b"\x89PNG"), (".pdf", b"%PDF"), (".dot", b"digraph"), (".gv", b"d")):
        path = drawing.save(tmp_path / f"graph{suffix}")
        assert path.suffix == suffix
        assert path.read_bytes().startswith(start)
    with pytest.raises(GradscopeError, match=r"graph.txt.*\.svg"):
        drawing.save(tmp_path / "graph.txt")


def test_causes_are_written_as_one_reads_them():
    written = [cause_words(cause) for cause in ("nan_in_data", "ctc_infeasible", "dead_relu", "no_grad", "detach")]

    assert written == ["NaN in data", "CTC infeasible", "dead ReLU", "no_grad", "detach"]


@pytest.mark.parametrize("depth", [-1, 1.5, "2"])
def test_a_depth_that_makes_no_sense(depth):
    with pytest.raises(GradscopeError, match="how many levels"):
        build.untraced().graph(depth)


def test_an_untraced_run_says_so_in_its_picture():
    assert "No step was traced" in draw_graph(build.untraced()).source
    assert "No step was traced" not in draw_graph(Report(Run(graph=Graph((), ())))).source


def test_a_red_line_to_a_finding_has_its_legend(module_that_is_never_used):
    source = draw_graph(module_that_is_never_used).source

    assert "no gradient comes, for the reason on the plate" in source
    assert "the gradient is cut here" not in source


def test_a_module_keeps_its_class_though_its_weight_is_another_ones_too(tied_weights):
    source = draw_graph(tied_weights).source

    assert "Embedding" in source
    assert source.count("Linear") == 1


@pytest.fixture
def module_that_is_never_used():
    model = nn.Module()
    model.used, model.spare = nn.Linear(2, 1), nn.Linear(2, 1)
    return gradscope.explain(lambda: model.used(torch.ones(1, 2)).sum().backward(), model=model)


@pytest.fixture
def tied_weights():
    model = nn.Sequential(nn.Embedding(3, 2), nn.Linear(2, 3, bias=False))
    model[1].weight = model[0].weight
    return gradscope.explain(lambda: model(torch.arange(3)).square().sum().backward(), model=model)


def test_what_was_frozen_and_is_blamed_for_nothing_has_no_red_plate():
    lower, upper = nn.Linear(2, 2), nn.Linear(2, 1)
    lower.bias.requires_grad_(False)

    def step():
        lower.zero_grad()
        upper(torch.tanh(lower(torch.ones(1, 2)))).sum().backward()
        lower.weight.requires_grad_(False)  # from the second step on

    assert CUT not in gradscope.explain(step, repeat=2, lower=lower, upper=upper).graph().source


def test_lines_of_a_box_stand_in_its_middle_whatever_font_a_browser_has():
    svg = draw_graph(build.two_model_cut()).svg()
    nodes = [g for g in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}g") if g.get("class") == "node"]

    lines = [list(node.iter("{http://www.w3.org/2000/svg}text")) for node in nodes]
    assert sum(map(len, lines)) >= len(nodes) > 1
    assert {text.get("text-anchor") for line in lines for text in line} == {"middle"}
    assert all(len({text.get("x") for text in line}) == 1 for line in lines)


@pytest.mark.parametrize("idle", [2, 3])
def test_models_that_nothing_leads_to_share_one_cluster_if_they_are_many(idle):
    s = build.Sketch()
    s.loss(s.layer("trained", "layer", s.node("input", "x", live=False)))
    names = [f"idle_{n}" for n in range(idle)]
    for name in names:
        s.node("parameter", "weight", name, "layer", live=False)
    source = draw_graph(build.report_of(s, {"trained": "A", **dict.fromkeys(names, "B")}, tuple(names))).source

    assert ("3 models not in this step" in source) == (idle == 3)
    assert source.count("subgraph cluster_") == (3 if idle == 2 else 2)
    assert {f"<b>{name}</b>" for name in names} <= set(re.findall(r"<b>idle_\d</b>", source))
    assert "<b>trained</b>" in source
