"""Whose operation it is in the graph of a live loss: tied and borrowed weights, and blocks drawn as one."""

from __future__ import annotations

import graphlib
import re

import pytest
import torch
from torch import nn
from torch.nn import functional

import gradscope


def lines(source):
    """The lines of a picture, by the names of the boxes they join."""
    names = {
        box: re.sub(r"<[^>]*>.*", "", label.removeprefix("<b>"))
        for box, label in re.findall(r"^ +(n\d+) \[label=<(.*?)>, ", source, re.MULTILINE)
    }
    joined = re.findall(r"^ +(n\d+) -> (n\d+) \[", source, re.MULTILINE)
    return [(names[source], names[target]) for source, target in joined]


def assert_no_circle(source):
    before = {}
    for start, end in re.findall(r"^ +(n\d+) -> (n\d+) \[", source, re.MULTILINE):
        before.setdefault(end, set()).add(start)
    graphlib.TopologicalSorter(before).prepare()


def tied_layers():
    encoder = nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 4))
    decoder = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 8))
    decoder[0].weight = encoder[2].weight
    return decoder(encoder(torch.ones(2, 8))).sum(), {"encoder": encoder, "decoder": decoder}


def tied_without_bias_and_given_backwards():
    encoder = nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 4, bias=False))
    decoder = nn.Sequential(nn.Linear(4, 4, bias=False), nn.ReLU(), nn.Linear(4, 8))
    decoder[0].weight = encoder[2].weight
    return decoder(encoder(torch.ones(2, 8))).sum(), {"decoder": decoder, "encoder": encoder}


def one_embedding_at_both_ends():
    parts = nn.ModuleDict({"emb": nn.Embedding(9, 4), "core": nn.Linear(4, 4), "out": nn.Linear(4, 9, bias=False)})
    parts["out"].weight = parts["emb"].weight
    return parts["out"](parts["core"](parts["emb"](torch.tensor([1, 2])))).sum(), {"lm": parts}


def borrowed_weight():
    parts = nn.ModuleDict({"enc": nn.Linear(8, 4, bias=False), "mid": nn.Linear(4, 4)})
    return functional.linear(parts["mid"](parts["enc"](torch.ones(2, 8))), parts["enc"].weight.t()).sum(), {"ae": parts}


def borrowed_kernel():
    parts = nn.ModuleDict({"enc": nn.Conv2d(1, 4, 3), "mid": nn.Conv2d(4, 4, 1)})
    code = parts["mid"](parts["enc"](torch.ones(2, 1, 8, 8)))
    return functional.conv_transpose2d(code, parts["enc"].weight).sum(), {"ae": parts}


def borrowed_embedding():
    parts = nn.ModuleDict({"emb": nn.Embedding(9, 4), "core": nn.Linear(4, 4)})
    return functional.linear(parts["core"](parts["emb"](torch.tensor([1, 2]))), parts["emb"].weight).sum(), {
        "lm": parts
    }


def layers_of_one_weight():
    layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(4))
    for layer in layers[1:]:
        layer.weight, layer.bias = layers[0].weight, layers[0].bias
    x = torch.ones(2, 4)
    for layer in layers:
        x = x + layer(x)
    return x.sum(), {"net": layers}


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x):
        return x + self.b(torch.relu(self.a(x)))


def residual_blocks():
    net = nn.Sequential(*(Block() for _ in range(5)))
    return net(torch.ones(2, 4)).sum(), {"net": net}


@pytest.mark.parametrize(
    "build",
    [
        tied_layers,
        tied_without_bias_and_given_backwards,
        one_embedding_at_both_ends,
        borrowed_weight,
        borrowed_kernel,
        borrowed_embedding,
        layers_of_one_weight,
        residual_blocks,
    ],
)
def test_what_runs_once_is_no_circle(build):
    loss, models = build()
    for depth in range(4):
        assert_no_circle(gradscope.graph(loss, depth=depth, **models).source)


def test_a_tied_layer_is_drawn_where_it_runs_and_its_weight_goes_there():
    loss, models = tied_layers()
    source = gradscope.graph(loss, **models).source
    joined = lines(source)

    assert joined.count(("2", "0")) == 1  # the weight, from the encoder's last to the decoder's first
    assert "reaches 4 of 4 parameters" in source.partition("decoder</b>")[2]
    assert "One parameter: encoder.2.weight = decoder.0.weight." in source


def test_the_embedding_looks_up_and_the_last_layer_multiplies():
    loss, models = one_embedding_at_both_ends()

    assert {("emb", "core"), ("core", "out"), ("emb", "out")} <= set(lines(gradscope.graph(loss, **models).source))


def test_what_is_called_again_is_a_circle():
    first, second = nn.Linear(4, 4), nn.Linear(4, 4)
    net = nn.ModuleList([first, second])
    x = torch.ones(2, 4)
    for _ in range(3):
        x = second(first(x))

    assert {("0", "1"), ("1", "0")} <= set(lines(gradscope.graph(x.sum(), net=net).source))


def test_a_module_with_two_names_is_one():
    class Agent(nn.Module):
        def __init__(self, policy):
            super().__init__()
            self.policy, self.value = policy, nn.Linear(4, 1)

    policy = nn.Linear(4, 4)
    agent = Agent(policy)
    source = gradscope.graph(agent.value(policy(torch.ones(2, 4))).sum(), agent=agent, policy=policy).source

    assert ("policy", "value") in lines(source)
    assert "One parameter" not in source
    assert "no parameters of its own" in source


def test_a_penalty_on_a_weight_takes_it_from_nobody():
    cell, x = nn.RNNCell(4, 4), torch.ones(2, 4)
    h = cell(x, cell(x, torch.zeros(2, 4)))
    loss = h.sum() + (cell.weight_hh.t() @ cell.weight_hh).pow(2).sum()

    assert "Mm" not in str(lines(gradscope.graph(loss, cell=cell).source))
