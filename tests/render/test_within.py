"""What belongs to one call of a module, and glue that goes on from turn to turn."""

from __future__ import annotations

import pytest

from gradscope.records import Location
from gradscope.render.boxes import Kind
from gradscope.render.fold import fold
from gradscope.render.labels import rows
from gradscope.render.stream import Flow
from tests.render import graph_builders as build

SUM = Location("train.py", 14, "step", "loss = loss + part")


def module_boxes(sketch, depth=2):
    return [box for box in fold(sketch.graph(), depth).boxes if box.kind is Kind.MODULE]


def attention(s, model, module, *sources):
    """Attention computes with the weights of its `out_proj` and does not call it."""
    made = s.op("attend", model, module, *sources)
    for part, name in ((module, "in_proj_weight"), (f"{module}.out_proj", "weight")):
        leaf = s.node("parameter", name, model, part, uid=len(s.nodes), norm=0.1)
        s.edges.append(build.Edge(leaf, made))
    return made


def test_a_part_that_only_lends_its_weights_is_drawn_in_what_uses_them():
    s = build.Sketch()
    s.loss(attention(s, "net", "attn", s.node("input", "x", live=False)))
    (box,) = module_boxes(s)
    assert (box.path, box.parameters) == (("attn",), 2)


def test_a_part_that_is_called_is_drawn_by_itself():
    s = build.Sketch()
    h = s.layer("net", "attn.q", s.node("input", "x", live=False))
    s.loss(s.layer("net", "attn.out_proj", attention(s, "net", "attn", h)))
    assert ("attn", "out_proj") in {box.path for box in module_boxes(s)}


def detached(s):
    front = s.layer("front", "", s.node("input", "x", live=False), live=False)
    fresh = s.node("op", "detach", live=False)
    s.cut(front, fresh)
    return fresh


def test_what_prepares_a_detached_input_is_in_the_same_call():
    s = build.Sketch()
    h = s.layer("net", "stem", s.node("input", "y", live=False))
    turned = s.op("transpose", "net", "cross", detached(s), live=False)
    s.loss(s.layer("net", "cross", s.op("add", "net", "cross", turned, h)))
    crossing = [box for box in module_boxes(s) if box.path == ("cross",)]
    assert [(box.flow, box.again) for box in crossing] == [(Flow.LIVE, False)]


def test_a_call_without_gradient_beside_one_with_is_told():
    s = build.Sketch()
    weight = s.node("parameter", "weight", "net", "cross", uid=99, norm=0.1)
    blind = s.op("linear", "net", "cross", detached(s), live=False)
    s.cut(weight, blind, "no_grad")
    seeing = s.op("linear", "net", "cross", s.node("input", "y", live=False))
    s.edges.append(build.Edge(weight, seeing))
    s.loss(s.op("mse", "", "", seeing, blind))
    crossing = {box.flow: box.again for box in module_boxes(s) if box.path == ("cross",)}
    assert crossing == {Flow.LIVE: False, Flow.GHOST: True}


def summed(turns):
    s = build.Sketch()
    x = s.node("input", "x", live=False)
    total = s.layer("head0", "", x)
    for turn in range(1, turns):
        part = s.layer(f"head{turn}", "", x)
        made = s.node("op", "add", location=SUM)
        s.edges += [build.Edge(source, made, norm=float(turn)) for source in (total, part)]
        total = made
    s.loss(total)
    return fold(s.graph(), 2)


def test_a_sum_over_the_turns_of_a_loop_is_one_box():
    picture = summed(6)
    ((number, glue),) = [(n, box) for n, box in enumerate(picture.boxes) if box.kind is Kind.GLUE]
    assert (glue.repeats, glue.nodes) == (5, 5)
    arriving = [link for link in picture.links if link.target == number]
    assert len(arriving) == 6
    assert {link.source for link in picture.links if link.target == number} == {link.source for link in arriving}


def test_a_residual_loop_is_not_made_a_ring():
    s = build.Sketch()
    h = s.layer("stem", "", s.node("input", "x", live=False))
    for turn in range(4):
        inner = s.layer(f"block{turn}", "", h)
        made = s.node("op", "add", location=SUM)
        s.edges += [build.Edge(h, made), build.Edge(inner, made)]
        h = made
    s.loss(h)
    picture = fold(s.graph(), 2)
    assert sum(box.kind is Kind.GLUE for box in picture.boxes) == 4


def test_parameters_of_a_model_that_is_drawn_in_parts_keep_their_names():
    s = build.Sketch()
    token = s.node("parameter", "cls_token", "vit", "", uid=7, norm=0.1)
    spread = s.op("expand", "vit", "", token)
    patch = s.layer("vit", "patch", s.node("input", "x", live=False))
    s.loss(s.op("cat", "vit", "", spread, patch))
    own = next(box for box in fold(s.graph(), 2).boxes if box.own)
    assert own.own == ("cls_token",)
    assert rows(own, passes=False)[0] == "<b>cls_token</b>"


def residual_call(s, weights, h, live):
    """A call of a net of two residual blocks; `weights` are those of each block."""
    for at, weight in enumerate(weights):
        inner = s.node("module", "Linear", "net", f"body.{at}.fc", live=live)
        s.edges += [build.Edge(h, inner, live=live and s.nodes[h].live), build.Edge(weight, inner, live=live)]
        h = s.op("add", "net", f"body.{at}", h, s.op("relu", "net", f"body.{at}", inner, live=live), live=live)
    return h


def between(picture, model="net"):
    """Which boxes of a model feed each other: path and flow of both ends."""
    ends = ((picture.boxes[link.source], picture.boxes[link.target]) for link in picture.links)
    return {
        (".".join(one.path), one.flow, ".".join(other.path), other.flow)
        for one, other in ends
        if one.model == other.model == model
    }


@pytest.mark.parametrize("depth", [0, 1, 2, 3])
def test_a_call_without_gradient_is_never_drawn_through_the_one_with(depth):
    s = build.Sketch()
    x = s.node("input", "x", live=False)
    weights = [s.node("parameter", "weight", "net", f"body.{at}.fc", uid=at, norm=0.1) for at in range(2)]
    target, out = (residual_call(s, weights, x, live) for live in (False, True))
    s.loss(s.op("mse", "", "", out, target))
    picture = fold(s.graph(), depth)

    ways = between(picture)
    assert all(first is second for _, first, _, second in ways)
    assert {(a, b) for a, flow, b, _ in ways if flow is Flow.LIVE} == {
        (a, b) for a, flow, b, _ in ways if flow is Flow.DEAD
    }
    assert {box.again for box in picture.boxes if box.kind is Kind.MODULE and box.flow is Flow.DEAD} == {True}


def test_a_module_without_parameters_that_is_called_with_and_without_gradient_is_two_boxes():
    s = build.Sketch()
    seeing = s.layer("front", "", s.node("input", "x", live=False))
    blind = s.node("op", "detach", live=False)
    s.cut(seeing, blind)
    pooled = [s.op("mean", "net", "pool", given, live=live) for given, live in ((seeing, True), (blind, False))]
    s.loss(s.op("mse", "", "", *pooled))
    pools = {(box.flow, box.again) for box in module_boxes(s) if box.path == ("pool",)}
    assert pools == {(Flow.LIVE, False), (Flow.GHOST, False)}, "behind the cut, beside the other"


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_a_call_without_gradient_behind_a_cut_is_one_way(depth):
    s = build.Sketch()
    start = detached(s)
    weights = [s.node("parameter", "weight", "net", f"body.{at}.fc", uid=at, norm=0.1) for at in range(2)]
    blind, seeing = (residual_call(s, weights, x, live) for x, live in ((start, False), (s.node("input", "y"), True)))
    s.loss(s.op("mse", "", "", seeing, blind))
    picture = fold(s.graph(), depth)

    assert all(first is second for _, first, _, second in between(picture))
    others = [box for box in picture.boxes if box.model == "net" and box.flow is not Flow.LIVE]
    assert len(others) == (2 if depth == 2 else 1)
    assert all(box.again for box in others)


def test_what_a_part_that_is_cut_off_hands_on_is_behind_the_cut_and_no_other_call():
    s = build.Sketch()
    front = s.layer("net", "front.fc", s.node("input", "x", live=False), live=False)
    fresh = s.op("mul", "net", "front", s.op("round", "net", "front", front, live=False), front, live=False)
    s.cut(front, fresh - 1)
    s.loss(s.layer("net", "back", fresh))
    boxes = module_boxes(s, 0)
    assert [(box.flow, box.part, box.again) for box in boxes] == [
        (Flow.DEAD, True, False),
        (Flow.LIVE, True, False),
    ]


@pytest.mark.parametrize("depth", [0, 1])
def test_a_head_whose_output_nobody_uses_is_a_part_with_what_the_model_does_to_it(depth):
    s = build.Sketch()
    h = s.layer("net", "trunk.fc", s.node("input", "x", live=False))
    head = s.node("module", "Linear", "net", "trunk.head", live=False)
    weight = s.node("parameter", "weight", "net", "trunk.head", live=False, uid=77)
    s.edges += [build.Edge(h, head, live=False), build.Edge(weight, head, live=False)]
    value = s.op("squeeze", "net", "trunk", head, live=False)
    s.cut(value, s.node("op", "never used", live=False), "unused_output")
    s.loss(s.layer("net", "trunk.out", h))
    picture = fold(s.graph(), depth)

    name = "trunk" if depth else ""
    assert between(picture) == {(name, Flow.LIVE, name, Flow.DEAD)}
    (mark,) = picture.marks
    assert picture.boxes[mark.source].flow is Flow.DEAD
    parts = [rows(box, passes=False)[0] for box in picture.boxes if box.kind is Kind.MODULE]
    assert parts == [f"<b>part of {name or 'the model'}</b>"] * 2
