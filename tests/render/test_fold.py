"""Folding: a graph of any size becomes a picture that can be read."""

from __future__ import annotations

import re

import pytest

from gradscope.records import Edge, Graph, Location, Node
from gradscope.render.boxes import Kind
from gradscope.render.fold import MAX_BOXES, MAX_LINKS, Folding, fold
from gradscope.render.graph import draw_graph
from gradscope.render.known import Worth
from gradscope.render.levels import draw_page_levels, parts_of
from gradscope.render.repeats import find_runs
from gradscope.render.stream import Flow
from tests.render import graph_builders as build


def titles(picture):
    return [".".join(box.path) for box in picture.boxes if box.kind is Kind.MODULE]


def boxes(source):
    return re.findall(r"^ +n\d+ \[", source, re.MULTILINE)


def test_repeated_siblings_are_one_box():
    picture = fold(build.transformer(12).run.graph, depth=3)

    assert {"layers.0-11.attn", "layers.0-11.mlp", "layers.0-11.norm", "embed", "head"} <= set(titles(picture))
    assert {b.repeats for b in picture.boxes if "0-11" in b.path} == {12}
    assert picture == fold(build.transformer(12).run.graph, depth=3)


def test_number_of_boxes_does_not_grow_with_the_net():
    for builder in (build.transformer, build.unrolled_rnn, build.deep_net):
        for depth in (0, 1, 2, 3, 4):
            short, long = fold(builder(40).run.graph, depth), fold(builder(160).run.graph, depth)
            assert len(short.boxes) == len(long.boxes) <= 15


def test_alternating_layers_fold_with_their_norms():
    picture = fold(build.deep_net(1000).run.graph)
    (body,) = [b for b in picture.boxes if b.path == ("body", "0-999")]

    assert body.repeats == 500
    assert body.norms[0] == pytest.approx(body.norms[1] * 1e-6, rel=0.05)


def test_a_run_ends_where_the_gradient_ends():
    s = build.Sketch()
    h = s.node("input", "x", live=False)
    for i in range(10):
        if i == 5:
            fresh = s.node("op", "detach", "net", "", live=False)
            s.cut(h, fresh)
            h = fresh
        h = s.layer("net", f"layers.{i}", h, live=i >= 5)
    s.loss(h)

    assert titles(fold(s.graph())) == ["layers.0-4", "layers.5-9"]


def test_one_frozen_parameter_does_not_split_its_box():
    s = build.Sketch()
    made = s.layer("net", "fc", s.node("input", "x", live=False))
    frozen = s.node("parameter", "lora_base", "net", "fc", live=False)
    s.edges.append(Edge(frozen, made, live=False))
    s.loss(made)
    (box,) = [b for b in fold(s.graph()).boxes if b.kind is Kind.MODULE]

    assert (box.flow, box.parameters, box.silent) == (Flow.LIVE, 3, 1)


@pytest.mark.parametrize(
    ("shapes", "runs"),
    [
        ([], []),
        ([1, 1], []),
        ([1, 1, 1], [(0, 1, 3)]),
        ([0, 1, 1, 1, 2], [(1, 1, 3)]),
        ([1, 2] * 4, [(0, 2, 4)]),
        ([1, 2] * 4 + [1], [(0, 2, 4)]),
        ([5, 1, 2, 3, 1, 2, 3, 1, 2, 3, 9, 9, 9], [(1, 3, 3), (10, 1, 3)]),
    ],
)
def test_runs(shapes, runs):
    assert find_runs(shapes) == runs


@pytest.mark.parametrize("depth", [1, 2, 3, 7])
def test_too_many_boxes_fold_further_and_say_so(depth):
    picture = fold(build.irregular(40).run.graph, depth)

    assert len(picture.boxes) <= MAX_BOXES
    assert bool(picture.remarks) == (depth > 1)
    if depth > 1:
        assert (
            f"Folded to depth 1: depth 2 is more than {MAX_BOXES} boxes"
            in draw_graph(build.irregular(40), depth).source
        )


@pytest.mark.parametrize(("count", "fan_in"), [(120, 4), (290, 8)])
def test_a_tangle_is_laid_out_in_time(count, fan_in):
    """Few boxes with many lines are as slow for dot as many boxes: they fold as well."""
    s = build.Sketch()
    made = [s.node("input", "x", live=False)]
    for i in range(count):
        sources = [made[-1 - (j * j * 7 + i * j) % len(made)] for j in range(fan_in)]
        made.append(s.op(f"Op{i}Backward0", "net", f"part{i}x", *sources, norm=0.1 * i + 0.01))
    s.loss(made[-1])
    picture = fold(s.graph())

    assert len(picture.links) <= MAX_LINKS
    assert bool(picture.remarks) == (count * fan_in > MAX_LINKS)
    assert draw_graph(build.report_of(s, {"net": "Tangle"})).reason is None


def test_a_crowd_of_models_or_losses_still_fits():
    source = draw_graph(build.many_models(400)).source
    s = build.Sketch()
    for i in range(1000):
        s.loss(s.op("SumBackward0", "", "", s.node("input", f"x{i}")), line=i)

    assert len(boxes(source)) < 40
    assert "388 more models" in source
    assert "<br/><b>expert17</b><br/>" in source
    assert "… and 382 more" in source
    assert len(fold(s.graph()).boxes) <= MAX_BOXES


@pytest.mark.parametrize(
    "report",
    [build.unrolled_rnn(9000), build.transformer(9500), build.irregular(316)],
    ids=["rnn", "transformer", "irregular"],
)
def test_hundred_thousand_nodes_are_readable(report):
    assert len(report.run.graph.nodes) > 90_000
    source = draw_graph(report).source

    assert len(boxes(source)) < 60


def test_a_gradient_of_its_own_kind_ends_a_run_of_blocks():
    """Twenty layers that get exactly zero are no part of a row of sixty healthy ones."""
    s = build.Sketch()
    h = s.node("input", "x", live=False)
    for i in range(60):
        h = s.layer("net", f"layers.{i}", h, norm=0.0 if i < 20 else 0.1)
    s.loss(h)
    picture = fold(s.graph())

    assert [(title, box.worth) for title, box in zip(titles(picture), picture.boxes[:2], strict=True)] == [
        ("layers.0-19", Worth.ZERO),
        ("layers.20-59", Worth.SOUND),
    ]
    source = draw_graph(build.report_of(s, {"net": "Net"})).source
    assert "gradient exactly zero" in source
    assert "no fill, strong border: its gradient is exactly zero" in source


def test_findings_of_a_crowd_are_few_badges():
    s = build.Sketch()
    names = [f"expert{i}" for i in range(60)]
    for name in names:
        s.node("parameter", "weight", name, "", live=False)
    s.loss(s.node("input", "x"))
    source = draw_graph(build.report_of(s, dict.fromkeys(names, "Expert"), dead=tuple(names))).source

    assert 0 < len(re.findall(r"^ +b\d+ \[", source, re.MULTILINE)) <= 20
    assert "<b>expert5</b>" in source


def test_of_a_crowd_those_without_gradient_are_apart():
    s = build.Sketch()
    ends = [s.layer(f"net{i}", "", s.node("input", "x", live=False)) for i in range(20)]
    for i in range(5):
        s.node("parameter", "weight", f"idle{i}", "", live=False)
    s.loss(*ends)
    models = {f"net{i}": "Net" for i in range(20)} | {f"idle{i}": "Net" for i in range(5)}
    source = draw_graph(build.report_of(s, models, dead=tuple(f"idle{i}" for i in range(5)))).source
    names = "".join(f"<b>idle{i}</b><br/>" for i in range(5))

    assert f'{names}<font point-size="10">no gradient</font>' in source
    assert re.search(r"<b>5 models not in this step</b>", source)
    assert re.search(r"<b>8 more models</b>", source)


def opening():
    s = build.Sketch()
    x = s.node("input", "x", live=False)
    h = s.layer("net", "block.attn", x)
    h = s.layer("net", "block.attn.proj", h)
    h = s.op("MulBackward0", "net", "block.attn", h)
    for i in range(4):
        h = s.layer("net", f"layers.{i}.up.a", h)
        h = s.layer("net", f"layers.{i}.down.a", h)
    s.loss(s.layer("net", "head", h))
    return s


def test_a_module_opens_into_its_children_and_what_it_does_itself():
    folding = Folding(opening().graph())
    above, below = folding.at(2), folding.at(3)
    (attention,) = (box for box in above.boxes if box.path == ("block", "attn"))

    parts = {below.boxes[number].path for number in parts_of(attention, below)}
    assert parts == {("block", "attn"), ("block", "attn", "proj")}
    assert parts_of(attention, above) == []


def test_a_module_opens_alone_and_all_blocks_that_are_drawn_as_it():
    folding = Folding(opening().graph())
    (blocks,) = (box for box in folding.at(2).boxes if box.repeats == 4)
    picture = folding.opened(2, {("net", path) for path in blocks.inside})

    assert blocks.inside == tuple(("layers", str(i)) for i in range(4))
    assert [box.path for box in picture.boxes if box.path[:1] == ("layers",)] == [
        ("layers", "0-3", "up"),
        ("layers", "0-3", "down"),
    ]
    assert ("block", "attn", "proj") not in {box.path for box in picture.boxes}


def test_views_of_a_page_are_told_apart_and_lead_to_each_other():
    levels, _ = draw_page_levels(build.report_of(opening(), {"net": "Net"}))
    page = "".join(level.svg for level in levels)
    ids = re.findall(r' id="([^"]+)"', page)
    opened = {name for names in re.findall(r' data-opens="([^"]+)"', page) for name in names.split()}

    assert [level.depth for level in levels if level.depth is not None] == [0, 1, 2, 3, 4]
    assert len([level for level in levels if level.depth is None]) > 5
    assert len(ids) == len(set(ids))
    assert opened <= set(ids)


def test_without_room_a_module_opens_with_all_others_of_its_depth():
    report = build.report_of(opening(), {"net": "Net"})
    room = sum(len(level.svg) for level in draw_page_levels(report)[0] if level.depth is not None)
    levels, _ = draw_page_levels(report, room)

    assert [level.depth for level in levels] == [0, 1, 2, 3, 4]
    assert 'data-opens="g3-' in levels[2].svg


@pytest.mark.parametrize(
    ("shapes", "kinds", "runs"),
    [
        ([1, 2, 1, 2, 1, 2], [1, 2, 1, 2, 1, 2], [(0, 2, 3)]),  # Linear, ReLU, Linear, ReLU ...
        ([1, 2, 2] * 4, [7] * 12, []),  # one kind, of which every third is dead
        ([1, 1, 1, 2, 2, 2], [7] * 6, [(0, 1, 3), (3, 1, 3)]),
        ([1, 2, 3, 2] * 3, [1, 2, 1, 2] * 3, []),  # two kinds, one of them in two states
    ],
)
def test_blocks_of_one_kind_in_two_states_are_no_pattern(shapes, kinds, runs):
    assert find_runs(shapes, kinds) == runs


def experts(chosen, count=12):
    """Experts of two layers, side by side between a router and a sum; only the chosen ones run."""
    s = build.Sketch()
    x = s.layer("net", "router", s.node("input", "x", live=False))
    ends = []
    for i in range(count):
        if i in chosen:
            ends.append(s.layer("net", f"experts.{i}.1", s.layer("net", f"experts.{i}.0", x)))
        else:
            for layer in "01":
                s.node("parameter", "weight", "net", f"experts.{i}.{layer}", live=False)
    s.loss(s.op("StackBackward0", "net", "", *ends))
    return s.graph()


@pytest.mark.parametrize(
    ("chosen", "running", "waiting"),
    [
        ({3, 7, 11}, ("experts", "{3,7,11}"), ("experts", "{0-2,4-6,8-10}")),
        ({0, 2, 5, 6, 7, 10, 11}, ("experts", "{0,2,5-7,10-11}"), ("experts", "{1,3-4,8-9}")),
        (set(range(4)), ("experts", "0-3"), ("experts", "4-11")),
    ],
)
def test_experts_that_run_and_those_that_do_not_are_a_box_each(chosen, running, waiting):
    picture = fold(experts(chosen), depth=2)
    drawn = {box.path: box.repeats for box in picture.boxes if box.path[:1] == ("experts",)}

    assert drawn == {running: len(chosen), waiting: 12 - len(chosen)}


def test_two_experts_that_do_not_run_have_a_box_each():
    paths = {box.path for box in fold(experts(set(range(10))), depth=2).boxes}

    assert {("experts", "0-9"), ("experts", "10"), ("experts", "11")} < paths


def test_of_experts_every_third_of_which_is_dead_each_has_its_box():
    dead = {0, 3, 6}
    nodes = [Node(0, "input", "x", live=False)]
    edges = []
    for expert in range(9):
        nodes.append(Node(len(nodes), "module", "Linear", "experts", str(expert), live=expert not in dead))
        edges.append(Edge(0, nodes[-1].id, live=False))
    picture = fold(Graph(tuple(nodes), tuple(edges)), 1)

    drawn = {box.path: box.repeats for box in picture.boxes if box.model == "experts"}
    assert drawn == {(str(expert),): 1 for expert in range(9)}


def recurrent(turns: int) -> Graph:
    """A cell that is given its own last result."""
    s = build.Sketch()
    weight = s.node("parameter", "weight", "cell", "", norm=0.5, uid=0)
    state = s.node("input", "h0", live=False)
    for _ in range(turns):
        call = s.node("module", "Cell", "cell", "")
        s.edges += [Edge(state, call, live=s.nodes[state].live, norm=0.25), Edge(weight, call, norm=0.5)]
        state = call
    s.loss(state)
    return s.graph()


def test_what_a_module_is_given_back_goes_around():
    picture = fold(recurrent(3))
    (box,) = [at for at, box in enumerate(picture.boxes) if box.kind is Kind.MODULE]

    assert picture.boxes[box].calls == 3
    assert [(link.source, link.target, link.norm) for link in picture.links if link.source == box == link.target] == [
        (box, box, 0.25)
    ]
    assert not [link for link in fold(recurrent(1)).links if link.source == link.target]
    assert not [link for link in fold(build.transformer(12).run.graph).links if link.source == link.target]


def test_weights_are_no_way_from_one_call_to_another():
    """The same module computes once more, without gradient."""
    s = build.Sketch()
    x = s.node("input", "x", live=False)
    weight = s.node("parameter", "weight", "net", "fc", norm=0.5, uid=0)
    calls = [s.node("module", "Linear", "net", "fc", live=live) for live in (True, False)]
    s.edges += [Edge(source, call, live=False) for call in calls for source in (x, weight)]
    s.loss(calls[0])
    picture = fold(s.graph())
    alive, other = [at for at, box in enumerate(picture.boxes) if box.kind is Kind.MODULE]

    assert picture.boxes[other].again
    assert not [link for link in picture.links if (link.source, link.target) == (alive, other)]


def test_passes_of_one_loss_are_counted_and_of_several_told_apart():
    s = build.Sketch()
    h = s.layer("net", "fc", s.node("input", "x", live=False))
    for label in ("loss for a", "loss for b", "loss for b"):
        s.loss(h, label=label)

    assert [(box.names, box.nodes) for box in fold(s.graph()).boxes if box.kind is Kind.LOSS] == [
        (("loss for a",), 1),
        (("loss for b",), 2),
    ]
    drawn = draw_graph(build.report_of(s, {"net": "Net"})).source
    assert drawn.count("2 passes") == 1
    assert drawn.count("passes") == 1


def residual(kind: str, count: int) -> Graph:
    """Blocks whose own forward adds what they were given: first thing after the data, last thing before the head."""
    s = build.Sketch()
    h = s.node("input", "x", live=False)
    for i in range(count):
        block = f"layers.{i}"
        inner = s.layer("net", f"{block}.fc", s.layer("net", f"{block}.norm", h))
        h = s.op("add", "net", block, h, s.op("gelu", "net", block, inner))
        if kind == "relu":
            h = s.op("relu", "net", block, h)
        elif kind == "two":
            h = s.op("sum", "net", block, h, s.layer("net", f"{block}.mlp", h))
    s.loss(s.layer("net", "out", h))
    return s.graph()


@pytest.mark.parametrize("kind", ["add", "relu", "two"])
@pytest.mark.parametrize("count", [3, 6])
def test_blocks_drawn_as_one_are_connected_like_one_block(kind, count):
    def ways(graph):
        picture = fold(graph, 3)
        names = [(box.kind, *(name for name in box.path if not name[0].isdigit()), box.names) for box in picture.boxes]
        return [(names[link.source], names[link.target]) for link in picture.links], picture

    one, _ = ways(residual(kind, 1))
    many, picture = ways(residual(kind, count))
    assert sorted(many) == sorted(one)
    inside = [box for box in picture.boxes if box.path[:1] == ("layers",)]
    assert {box.repeats for box in inside} == {count}
    assert all(box.nodes % count == 0 for box in inside)


def test_a_model_does_not_take_from_the_loss_it_shares_a_value_with():
    s = build.Sketch()
    fake = s.op("tanh", "", "", s.layer("generator", "", s.node("input", "z", live=False)))
    near = s.op("abs", "", "", s.op("sub", "", "", fake))
    s.loss(s.op("add", "", "", near, s.op("bce", "", "", s.layer("critic", "", fake))))
    picture = fold(s.graph())

    (critic,) = (at for at, box in enumerate(picture.boxes) if box.model == "critic")
    assert {picture.boxes[link.source].names for link in picture.links if link.target == critic} == {("tanh",)}


def test_of_glue_that_forks_one_line_is_one_box():
    """The density of a drawn action takes from mean, deviation and action, of which a critic takes the last alone."""
    s = build.Sketch()
    mean, wide = (s.layer("actor", name, s.node("input", "x", live=False)) for name in ("mean", "wide"))
    wide = s.op("exp", "", "", wide)
    action = s.op("add", "", "", wide, mean)
    line = {"location": Location("policy.py", 20)}
    parts = []
    for label, sources in (("log", [wide]), ("sub", [action, mean]), ("pow", [wide])):
        parts.append(s.node("op", label, **line))
        s.edges += [Edge(source, parts[-1]) for source in sources]
    density = s.op("div", "", "", *parts)
    s.loss(s.op("sum", "", "", density, s.layer("critic", "", action)))
    picture = fold(s.graph())

    glue = [box.names for box in picture.boxes if box.kind is Kind.GLUE]
    assert glue == [("exp",), ("add",), ("log", "pow", "sub", "div"), ("sum",)]
