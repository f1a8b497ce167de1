"""The exact graph of operations: every parameter by name, any depth, torchviz or not."""

from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ET
from collections import Counter

import pytest
import torch
from torch import nn

from gradscope.render.opgraph import MAX_NODES, op_graph
from gradscope.render.palette import model_colour, tint


@pytest.fixture(params=["torchviz", "by hand"])
def way(request, monkeypatch):
    if request.param == "by hand":
        monkeypatch.setitem(sys.modules, "torchviz", None)


def two_models():
    encoder, decoder = nn.Linear(3, 4), nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 1))
    return encoder, decoder, torch.ones(2, 3)


def test_parameters_are_named_and_the_unreached_model_is_drawn(way):
    encoder, decoder, x = two_models()
    drawing = op_graph(decoder(encoder(x).detach()).mean(), {"encoder": encoder, "decoder": decoder})

    for name, _ in decoder.named_parameters():
        assert f"decoder.{name}" in drawing.source
    assert "encoder\\nnot reached: 2 parameters" in drawing.source
    assert "encoder.weight" not in drawing.source
    assert "MeanBackward0" in drawing.source
    assert drawing.reason is None


def test_of_a_long_name_the_legend_shortens_the_name_alone(way):
    encoder, decoder, x = two_models()
    names = ("momentum_encoder_for_satellite_images_of_the_northern_sea", "decoder")
    source = op_graph(decoder(encoder(x)).mean(), dict(zip(names, (encoder, decoder), strict=True))).source
    (told,) = re.findall(r">([^<>]*): the loss reaches 2 of 2 parameters<", source)

    assert told.startswith("momentum_enc")
    assert told.endswith("northern_sea")
    assert len(told) <= 40


def test_both_ways_draw_the_same_graph(monkeypatch):
    encoder, decoder, x = two_models()
    loss = decoder(encoder(x)).mean()
    models = {"encoder": encoder, "decoder": decoder}
    by_torchviz = op_graph(loss, models).source
    monkeypatch.setitem(sys.modules, "torchviz", None)
    by_hand = op_graph(loss, models).source

    for wanted in (r"-> \w+", "AccumulateGrad", "TBackward0", "decoder.2.weight", tint(model_colour(1), 0.35)):
        assert len(re.findall(wanted, by_torchviz)) == len(re.findall(wanted, by_hand))


def test_no_addresses_in_the_text(way):
    encoder, decoder, x = two_models()
    texts = {op_graph(decoder(encoder(x)).mean(), {"e": encoder, "d": decoder}).source for _ in range(2)}

    assert len(texts) == 1
    assert not re.search(r"\d{6}", re.sub(r"#[0-9A-F]{6}", "", texts.pop()))


def test_deep_graph_is_no_recursion_error(way):
    layer = nn.Linear(2, 2)
    y = layer(torch.ones(2)).sum()
    for _ in range(1000):
        y = y * 1.0
    assert "layer.weight" in op_graph(y, {"layer": layer}).source
    for _ in range(20_000):
        y = y * 1.0
    source = op_graph(y, {"layer": layer}).source

    assert source.count("MulBackward0") == MAX_NODES
    assert f"The {MAX_NODES:,} operations nearest to the loss" in source


def test_a_parameter_used_again_and_again_is_drawn_at_each_use(way):
    cell, h = nn.RNNCell(2, 2), torch.zeros(1, 2)
    for _ in range(30):
        h = cell(torch.ones(1, 2), h)
    drawing = op_graph(h.sum(), {"cell": cell})

    assert drawing.source.count("cell.bias_ih") == 30
    assert "AccumulateGrad" not in drawing.source
    assert max(Counter(re.findall(r"(\w+) ->", drawing.source)).values()) == 1
    assert "A parameter with more than 8 uses is drawn at each of them." in drawing.source


def test_tensor_without_graph(way):
    drawing = op_graph(torch.ones(()), {"m": nn.Linear(1, 1)})

    assert "not reached: 2 parameters" in drawing.source
    assert drawing.reason is None


def test_hostile_names_stay_names(way, hostile):
    model = nn.Linear(1, 1)
    model.register_parameter("p" + hostile.replace(".", ""), nn.Parameter(torch.ones(1)))
    drawing = op_graph(
        sum(p.sum() for p in model.parameters()), {"m" + hostile: model, "idle" + hostile: nn.Linear(1, 1)}
    )
    calm = nn.Linear(1, 1)
    calm.register_parameter("p", nn.Parameter(torch.ones(1)))
    other = op_graph(sum(p.sum() for p in calm.parameters()), {"m": calm, "idle": nn.Linear(1, 1)})
    tree, expected = ET.fromstring(drawing.svg()), ET.fromstring(other.svg())

    assert len(tree.findall(".//{*}polygon")) == len(expected.findall(".//{*}polygon"))
    assert not [e for e in tree.iter() if e.tag.rpartition("}")[2] in ("script", "img", "image", "style", "a")]


def test_leaves_of_no_model_are_drawn(way):
    """They have no name: an empty line in a label crashes some Graphviz."""
    model, other, x = two_models()[0], nn.Linear(4, 1), torch.ones(2, 3)
    drawing = op_graph(other(model(x)).mean(), {"model": model})

    assert drawing.reason is None
    assert "model.weight" in drawing.source
