"""Tied weights: each use has its own number or none, and the picture says that they are one parameter."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

import gradscope
from gradscope.records import Edge
from gradscope.render.fold import fold
from gradscope.render.tied import tied
from tests.render import graph_builders as build


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.tok, self.mix, self.head = nn.Embedding(5, 3), nn.Linear(3, 3), nn.Linear(3, 5, bias=False)
        self.head.weight = self.tok.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.mix(self.tok(x)))


def norm_between(graph, source, target):
    picture = fold(graph)
    (norm,) = (
        link.norm
        for link in picture.links
        if (picture.boxes[link.source].path, picture.boxes[link.target].path) == ((source,), (target,))
    )
    return norm


@pytest.fixture
def data():
    torch.manual_seed(0)
    return torch.tensor([0, 1, 4]), torch.tensor([1, 2, 2])


def test_what_comes_back_through_one_use_of_a_tied_weight_is_that_use_alone(data):
    x, y = data
    model = Tied()
    report = gradscope.explain(lambda: cross_entropy(model(x), y).backward(), model=model)
    apart = model.head.weight.detach().clone().requires_grad_()
    loss = cross_entropy(model.mix(model.tok(x)) @ apart.T, y)
    (through_the_head,) = torch.autograd.grad(loss, [apart])

    assert norm_between(report.run.graph, "tok", "head") == pytest.approx(float(through_the_head.norm()), rel=1e-5)
    assert "One parameter: model.tok.weight = model.head.weight." in report.graph().source


class Double(torch.autograd.Function):
    @staticmethod
    def forward(ctx, weight):
        return 2 * weight

    @staticmethod
    def backward(ctx, grad):
        return 2 * grad


def test_what_a_function_of_the_user_sent_to_a_tied_weight_is_not_guessed(data):
    x, y = data

    class Own(Tied):
        def forward(self, x):
            weight = Double.apply(self.head.weight)
            return self.mix(self.tok(x)) @ weight.T

    model = Own()
    report = gradscope.explain(lambda: cross_entropy(model(x), y).backward(), model=model)
    picture = fold(report.run.graph)
    norms = [link.norm for link in picture.links if picture.boxes[link.source].path == ("tok",)]
    whole = float(model.tok.weight.grad.norm())

    assert all(norm is None or norm != pytest.approx(whole, rel=1e-5) for norm in norms)


@pytest.mark.parametrize(("norm", "total", "shown"), [(1.2, None, None), (0.8, 1.2, 0.8), (None, 1.2, None)])
def test_of_several_uses_the_sum_is_the_number_of_none(norm, total, shown):
    s = build.Sketch()
    first = s.op("EmbeddingBackward0", "net", "tok", s.node("input", "x", live=False))
    weight = s.node("parameter", "weight", "net", "tok", norm=1.2, uid=0)
    second = s.op("AddmmBackward0", "net", "head", first, norm=0.3)
    s.edges += [Edge(weight, first, norm=norm, total=total), Edge(weight, second, norm=norm, total=total)]
    s.loss(second)
    s.edges = [edge for edge in s.edges if (edge.source, edge.target) != (first, second)]

    assert norm_between(s.graph(), "tok", "head") == shown


def test_a_model_that_lies_in_another_ties_nothing():
    inner = nn.Linear(2, 1)
    outer = nn.Sequential(inner)
    report = gradscope.explain(lambda: outer(torch.ones(1, 2)).sum().backward(), inner=inner, outer=outer)

    assert tied(report.run) == []
    assert "One parameter" not in report.graph().source
