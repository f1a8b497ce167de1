"""The graph of a live loss: models and modules of an autograd graph, before any backward."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest
import torch
from torch import nn

import gradscope
from gradscope.errors import GradscopeError, NotTrainableError
from gradscope.render.palette import DEAD, model_colour


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.inner, self.outer = nn.LayerNorm(8), nn.Linear(8, 8), nn.Linear(8, 8, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.outer(torch.relu(self.inner(self.norm(x))))


def boxes(source):
    return re.findall(r"^ +n\d+ \[label=<(.*?)>, ", source, re.MULTILINE)


def two_models():
    torch.manual_seed(0)  # with others a ReLU of four units may be dead
    encoder = nn.Sequential(nn.Linear(3, 8), *(Block() for _ in range(5)))
    decoder = nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 1))
    return encoder, decoder, torch.ones(2, 3)


def test_models_are_clusters_and_repeated_blocks_one_box():
    encoder, decoder, x = two_models()
    drawing = gradscope.graph(decoder(encoder(x)).mean(), depth=1, encoder=encoder, decoder=decoder)

    assert drawing.reason is None
    assert "encoder</b>" in drawing.source
    assert "reaches 27 of 27 parameters" in drawing.source
    assert "reaches 4 of 4 parameters" in drawing.source
    assert any("<b>1-5&#160; x5</b>" in box for box in boxes(drawing.source))
    assert {model_colour(0), model_colour(1)} <= set(re.findall(r"#[0-9A-F]{6}", drawing.source))


def test_depth_opens_modules():
    encoder, decoder, x = two_models()
    loss = decoder(encoder(x)).mean()
    shallow, deep = (gradscope.graph(loss, depth=d, encoder=encoder, decoder=decoder).source for d in (0, 2))

    assert "<b>Sequential</b>" in shallow
    assert "<b>1-5.norm&#160; x5</b>" in deep
    assert len(boxes(shallow)) < len(boxes(deep))


def test_what_the_loss_does_not_reach_is_grey():
    encoder, decoder, x = two_models()
    drawing = gradscope.graph(decoder(encoder(x).detach()).mean(), encoder=encoder, decoder=decoder)

    assert "Sequential, not reached" in drawing.source
    assert "No way leads from this loss to encoder" in drawing.source
    assert re.search(rf'style="rounded,filled,dashed", color="{DEAD}"', drawing.source)


@pytest.mark.parametrize(
    ("factor", "words"), [(1.0, "norm "), (0.0, "gradient exactly zero"), (float("nan"), "gradient NaN or Inf")]
)
def test_after_the_backward_of_a_watched_loop_it_tells_what_grad_holds(factor, words):
    encoder, decoder, x = two_models()
    models = {"encoder": encoder, "decoder": decoder}
    optimizer = torch.optim.SGD([*encoder.parameters(), *decoder.parameters()], lr=0.1)
    with gradscope.watch(**models) as scope:
        for _ in scope.steps(range(2)):
            loss, other = decoder(encoder(x) * factor).mean(), decoder(encoder(x).detach()).mean()
            before = gradscope.graph(loss, **models).source
            optimizer.zero_grad()
            loss.backward()
            after, others = (gradscope.graph(each, **models).source for each in (loss, other))
            optimizer.step()
            stepped = gradscope.graph(loss, **models).source

    assert f"Sequential, {words}" in after
    assert "what .grad holds" in after
    assert not [text for text in (before, stepped, others) if ", norm" in text or "what .grad" in text]
    lines = set(re.findall(r"n\d+ -> n\d+ \[color=\"(#\w+)\"", after))
    assert (model_colour(0) in lines) == (factor == 1.0), "what comes back to a broken encoder is not known of a line"
    assert ("gradient comes back: what it is worth stands in the boxes alone" in after) == (factor != 1.0)


def test_frozen_parts_are_named_so():
    encoder, decoder, x = two_models()
    for parameter in [*encoder.parameters(), *decoder[0].parameters()]:
        parameter.requires_grad_(False)
    loss = decoder(encoder(x)).mean()
    models = {"encoder": encoder, "decoder": decoder}
    modules, ops = (gradscope.graph(loss, detail=d, **models).source for d in ("modules", "ops"))

    assert "reaches 2 of 2 parameters, 2 frozen" in modules
    assert "encoder: frozen" in ops
    assert "0 of 0" not in modules + ops


@pytest.mark.parametrize(
    ("loss", "more", "words"),
    [(3.0, {}, "float"), (None, {"depth": "a"}, "depth='a'"), (None, {"depth": -1}, "depth=-1")],
)
def test_what_cannot_be_drawn_is_one_sentence(loss, more, words):
    encoder, _, x = two_models()
    with pytest.raises(GradscopeError, match=words):
        gradscope.graph(encoder(x).mean() if loss is None else loss, **more, encoder=encoder)


def test_the_loss_function_is_outside_of_the_model():
    encoder, decoder, x = two_models()
    source = gradscope.graph(nn.functional.mse_loss(decoder(encoder(x)), x[:, :1]), decoder=decoder).source
    free = source[source.rindex("  }") :]

    assert "MseLoss" in free
    assert "Relu" not in free


@pytest.mark.parametrize("detail", ["modules", "ops"])
def test_same_loss_same_text_without_addresses(detail):
    encoder, decoder, x = two_models()
    texts = {gradscope.graph(decoder(encoder(x)).mean(), detail=detail, encoder=encoder).source for _ in range(2)}

    assert len(texts) == 1
    assert not re.search(r"\d{6}", re.sub(r"#[0-9A-F]{6}", "", texts.pop()))


def test_a_long_loop_is_a_small_picture():
    cell, head = nn.RNNCell(2, 4), nn.Linear(4, 1)
    h = torch.zeros(1, 4)
    for _ in range(2000):
        h = cell(torch.ones(1, 2), h)
    drawing = gradscope.graph(head(h).mean(), cell=cell, head=head)

    assert len(boxes(drawing.source)) < 10
    assert drawing.reason is None


@pytest.mark.parametrize("still", [1, 2])
def test_frozen_models_share_no_box_with_those_that_the_loss_misses(still):
    models = {name: nn.Linear(2, 2) for name in ("head", "aux", "prior", "base", "teacher")[: 3 + still]}
    for name in ("base", "teacher")[:still]:
        models[name].requires_grad_(False)
    source = gradscope.graph(models["head"](torch.ones(1, 2)).sum(), **models).source
    (missed,) = (box for box in boxes(source) if "no gradient" in box)
    (frozen,) = (box for box in boxes(source) if "frozen" in box or "base" in box)

    assert "aux" in missed
    assert "prior" in missed
    assert "base" not in missed
    assert ("teacher" in frozen) == (still == 2)
    assert "2 models that this loss does not reach" in source
    assert ("2 frozen models" in source) == (still == 2)


def test_many_models_that_are_not_reached_are_named():
    models = {f"expert{i}": nn.Linear(2, 2) for i in range(20)}
    dead = (3, 5, 7, 11, 13)
    loss = sum(model(torch.ones(1, 2)).sum() for i, model in enumerate(models.values()) if i not in dead)
    source = gradscope.graph(loss, **models).source
    (apart,) = (box for box in boxes(source) if "no gradient" in box)

    assert re.findall(r"<b>expert(\d+)</b>", apart) == [str(i) for i in dead]
    assert "5 models that this loss does not reach" in source
    assert "No way leads from this loss to expert3, expert5, expert7 and 2 more" in source
    assert {f"<b>expert{i}</b>" for i in range(20)} <= set(re.findall(r"<b>expert\d+</b>", source))


def test_odd_losses_and_models_are_drawn():
    weight = torch.ones(2, requires_grad=True)
    for loss in (torch.ones(()), weight, weight * 2, (weight * 2).sum()):
        for detail in ("modules", "ops"):
            drawing = gradscope.graph(loss, detail=detail, loose=[weight], named={"w": weight}, none=nn.ReLU())
            assert drawing.reason is None
    with pytest.raises(GradscopeError, match="'modules' or 'ops'"):
        gradscope.graph(weight, detail="all")


def test_hostile_names_stay_names(hostile):
    model = nn.Linear(1, 1)
    model.register_parameter("p" + hostile.replace(".", ""), nn.Parameter(torch.ones(1)))
    loss = sum(p.sum() for p in model.parameters())
    tree = ET.fromstring(gradscope.graph(loss, **{"m" + hostile: model, "idle" + hostile: nn.Linear(1, 1)}).svg())

    assert not [e for e in tree.iter() if e.tag.rpartition("}")[2] in ("script", "img", "image", "style")]


@pytest.mark.parametrize(("model", "what"), [("a", "no model but of type str"), (None, "no model"), ([], "neither")])
def test_what_is_no_model(model, what):
    with pytest.raises(NotTrainableError, match=what):
        gradscope.graph(torch.ones(1, requires_grad=True).sum(), encoder=model)


def test_tensors_with_names_are_a_model():
    weight = torch.ones(2, requires_grad=True)

    assert "scales" in gradscope.graph(weight.sum(), scales=[("weight", weight)]).source


def test_a_tensor_without_graph_is_said_to_have_none():
    source = gradscope.graph(torch.tensor(1.0), model=nn.Linear(2, 2)).source

    assert "This tensor has no graph" in source
    assert "No way leads" not in source
