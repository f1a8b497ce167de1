"""A plate in the graph is about all of the boxes that have a line to it, and says so where it is about less."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import torch
from torch import nn

import gradscope
from gradscope.diagnosis.finding import State
from gradscope.records import Tally
from gradscope.render.fold import fold
from gradscope.render.graph import draw_graph
from gradscope.render.known import Blame, Known
from gradscope.render.labels import rows
from gradscope.render.looks import WARNING
from gradscope.report import Report
from tests.render import graph_builders as build

EXPERTS = 6


def experts(known):
    """Where each of six experts is drawn, of which none is called. The number of an expert is its parameter's."""
    s = build.Sketch()
    for expert in range(EXPERTS):
        s.node("parameter", "weight", "moe", f"experts.{expert}", live=False, uid=expert)
    s.loss(s.layer("moe", "head", s.node("input", "x", live=False)))
    return {box.path[1] for box in fold(s.graph(), 2, known).boxes if box.path[:1] == ("experts",)}


def test_blocks_share_a_box_if_the_same_findings_are_about_them():
    plate, other = ("GS102", "unused_module"), ("GS101", "net.py:3")

    assert experts(Known()) == {"0-5"}
    assert experts(Known(blamed={uid: frozenset({plate}) for uid in (0, 2, 3, 4)})) == {"{0,2-4}", "1", "5"}
    assert experts(Known(blamed={uid: frozenset({plate if uid < 3 else other}) for uid in range(6)})) == {"0-2", "3-5"}
    assert experts(Known(fed=frozenset({0, 1, 2}))) == {"0-2", "3-5"}


class Mixture(nn.Module):
    """The first expert always runs, the second at some steps, the others never."""

    def __init__(self) -> None:
        super().__init__()
        self.experts = nn.ModuleList(nn.Linear(2, 2) for _ in range(EXPERTS))

    def forward(self, x: torch.Tensor, step: int) -> torch.Tensor:
        y = self.experts[0](x)
        return y + self.experts[1](x) if step >= 5 else y


def test_an_expert_that_learns_at_times_is_not_among_those_that_are_never_used():
    moe = Mixture()
    optimizer = torch.optim.SGD(moe.parameters(), 0.1)
    with gradscope.watch(moe=moe) as scope:
        for step in scope.steps(range(10)):
            optimizer.zero_grad()
            moe(torch.ones(1, 2), step).square().sum().backward()
            optimizer.step()
    report = scope.report()
    deep, whole = report.graph().source, report.graph(0).source

    assert [finding.code for finding in report.findings] == ["GS102", "GS104"]
    assert re.search(r"experts\.2-5&#160; x4</b>.*no gradient<", deep)
    assert re.search(r"experts\.1</b>.*no gradient in this step<", deep)
    for source in (deep, whole):
        assert re.search(r"b0 \[label=<<b>GS102 unused module</b><br/><font[^>]*>experts\.2-5</font>>", source)


def test_a_plate_of_models_that_are_drawn_as_one_names_those_that_it_is_about():
    parts = [Blame("GS101", "no-gradient", name, "none", "unknown", None, frozenset(), True, "fc") for name in "ab"]
    whole = replace(parts[0], whom="")
    many = Known(blames=(whole, parts[1])).gathered({"a": "2 more models"})

    assert [(each.model, each.whom) for each in many.blames] == [("2 more models", "a"), ("b", "fc")]
    assert Known(blames=(parts[0],)).gathered({"a": "crowd"}).blames[0].whom == "a.fc"


@pytest.fixture
def half_optimized():
    """The optimizer was built before the last layer was replaced."""
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    model[1] = nn.Linear(2, 1)

    def step():
        optimizer.zero_grad()
        model(torch.ones(1, 2)).sum().backward()
        optimizer.step()

    return gradscope.explain(step, repeat=3, model=model)


def test_a_plate_about_a_part_hangs_on_it_by_a_line_that_is_no_cut(half_optimized):
    source = half_optimized.graph().source

    assert [finding.code for finding in half_optimized.findings] == ["GS501"]
    (box,) = re.findall(r"(n\d+) \[label=<<b>1</b>", source)
    (look,) = re.findall(rf"{box} -> b0 \[(.*)\];", source)
    assert f'color="{WARNING}"' in look
    assert "tee" not in look
    assert re.search(r"b0 \[label=<.*GS501.*>1</font>>,", source)


def nowhere(report):
    """The same report with a NaN that came at some step, nobody knows where from."""
    tally = Tally(backwards=4, measured=4, nonfinite=1, first_nonfinite=1, steps=4, stepped_nonfinite=1, norm_last=0.4)
    return Report(replace(report.run, tallies={0: tally}))


def test_a_finding_without_a_place_is_drawn_as_no_cut():
    s = build.Sketch()
    made = s.op("AddmmBackward0", "net", "fc", s.node("input", "x", live=False), norm=0.1)
    leaf = s.node("parameter", "weight", "net", "fc", norm=0.1, uid=0)
    s.edges.append(build.Edge(leaf, made, norm=0.1))
    s.loss(made)
    report = nowhere(build.report_of(s, {"net": "Net"}))
    source = draw_graph(report).source

    first = report.findings[0]
    assert (first.code, first.state, first.location) == ("GS301", State.NONFINITE, None)
    assert "GS301 nonfinite gradient" in source
    assert "arrowhead=tee" not in source
    assert not re.search(r"n\d+ -> b0", source)
    assert re.search(r"t0 -> b0 \[style=invis", source), "the plate stands below the title"


def test_only_a_finding_that_is_no_lost_gradient_frames_its_model(half_optimized):
    model = nn.Module()
    model.used, model.spare = nn.Linear(2, 1), nn.Linear(2, 1)
    unused = gradscope.explain(lambda: model.used(torch.ones(1, 2)).sum().backward(), model=model)

    assert WARNING not in unused.graph().source
    assert f'color="{WARNING}", fillcolor' in half_optimized.graph().source


def test_operations_that_are_not_named_are_hinted_at():
    s = build.Sketch()
    h = s.node("input", "x", live=False)
    for name in ("Conv2d", "BatchNorm2d", "ReLU", "Dropout"):
        h = s.op(name, "net", "body", h)
    s.loss(h)
    (body,) = (box for box in fold(s.graph(), 1).boxes if box.path == ("body",))

    assert "Conv2d, BatchNorm2d, ReLU, …<" in rows(body, passes=False)[1]


def test_a_grey_box_has_its_legend_where_no_grey_line_has():
    model = nn.Sequential(nn.Linear(2, 1), nn.Linear(1, 1))
    words = "grey, dashed: no gradient comes"

    assert words in gradscope.graph(model[0](torch.ones(1, 2)).sum(), model=model).source
    assert words not in gradscope.graph(model(torch.ones(1, 2)).sum(), model=model).source
