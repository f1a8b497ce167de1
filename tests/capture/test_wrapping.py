"""Tensors that come back: wrapped as parameters, or rebuilt from numbers that had left torch."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

import gradscope
from gradscope.capture.numbers import Numbers


def only_finding(step, **models):
    (finding,) = [f for f in gradscope.explain(step, **models).findings if f.code == "GS101"]
    return finding


@pytest.fixture
def nets():
    return nn.Linear(4, 3), nn.Linear(3, 1)


def train(encoder, decoder, between):
    optimizer = torch.optim.SGD([*encoder.parameters(), *decoder.parameters()], lr=0.01)

    def step():
        optimizer.zero_grad()
        between(encoder(torch.randn(8, 4)), decoder).pow(2).mean().backward()
        optimizer.step()

    return step


def test_the_line_that_makes_a_parameter_of_a_result_is_to_blame(nets):
    encoder, decoder = nets

    def between(code, decoder):
        start = nn.Parameter(code)
        later = [start]
        return decoder(later[0])

    finding = only_finding(train(encoder, decoder, between), encoder=encoder, decoder=decoder)

    assert finding.cause == "new_tensor"
    assert finding.location.text == "start = nn.Parameter(code)"


def test_making_parameters_is_left_as_it_was(nets):
    before = nn.Parameter.__dict__["__new__"]

    gradscope.explain(train(*nets, lambda code, decoder: decoder(code)), encoder=nets[0], decoder=nets[1])

    assert nn.Parameter.__dict__["__new__"] is before


@pytest.mark.parametrize("make", [torch.tensor, torch.FloatTensor])
def test_numbers_are_recognised_when_they_come_back(nets, make):
    encoder, decoder = nets

    def between(code, decoder):
        rows = [{"code": row.tolist()} for row in code]
        text = json.dumps(rows)
        return decoder(make([row["code"] for row in json.loads(text)]))

    finding = only_finding(train(encoder, decoder, between), encoder=encoder, decoder=decoder)

    assert finding.cause == "item"
    assert finding.evidence.value == "traced"
    assert finding.location.text == 'rows = [{"code": row.tolist()} for row in code]'


def test_round_numbers_say_nothing():
    numbers = Numbers()
    numbers.left([0.0, 1.0, 0.5, 0.1234567], 7)

    assert numbers.sources(torch.tensor([0.0, 1.0])) == ()
    assert numbers.sources(torch.tensor([0.5, 0.1234567])) == (7,)
    assert numbers.sources(torch.tensor([0.1234567, 0.7654321])) == ()


def test_each_number_may_have_come_out_of_another_value():
    numbers = Numbers()
    drawn = [0.1 + n / 7 for n in range(10)]
    for n, number in enumerate(drawn):
        numbers.left(number, n)

    assert numbers.sources(torch.tensor(drawn)) == tuple(range(10))
