"""Tensors that come back: wrapped as parameters, or rebuilt from numbers that had left torch."""

from __future__ import annotations

import json
import sys

import pytest
import torch
from torch import nn

import gradscope
from gradscope.capture.numbers import Numbers
from gradscope.capture.wrapping import Wrapping


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


def test_of_a_statement_of_several_lines_the_one_that_makes_the_parameter_is_told(nets):
    encoder, decoder = nets
    holder = nn.Module()

    def between(z, decoder):
        holder.rows = nn.ParameterList(
            nn.Parameter(row)  # here
            for row in z.unbind()
        )
        return decoder(torch.stack(list(holder.rows)))

    found = only_finding(train(encoder, decoder, between), encoder=encoder, decoder=decoder)
    assert (found.model, found.cause) == ("encoder", "new_tensor")
    assert found.location.text.endswith("# here")


def test_making_parameters_is_left_as_it_was(nets):
    before = nn.Parameter.__dict__["__new__"]

    gradscope.explain(train(*nets, lambda code, decoder: decoder(code)), encoder=nets[0], decoder=nets[1])

    assert nn.Parameter.__dict__["__new__"] is before


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_two_that_listen_at_once_leave_the_original_in_any_order(order):
    before = nn.Parameter.__dict__["__new__"]
    two = Wrapping(), Wrapping()

    made = nn.Parameter(torch.ones(2))
    assert [w.line_of(made).frames[0][0].co_name for w in two] == [sys._getframe().f_code.co_name] * 2

    first, second = (two[i] for i in order)
    first.undo()
    later = nn.Parameter(torch.ones(2))
    assert not first.line_of(later).frames
    assert second.line_of(later).frames
    first.undo()
    assert second.line_of(later).frames
    second.undo()
    assert nn.Parameter.__dict__["__new__"] is before


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_two_traced_scopes_leave_the_original_in_any_order(order):
    before = nn.Parameter.__dict__["__new__"]
    scopes = [gradscope.watch(net=nn.Linear(2, 2)) for _ in range(2)]
    for scope in scopes:
        scope._capture.start_tracing()
    assert nn.Parameter.__dict__["__new__"] is not before
    for number in order:
        scopes[number].close()

    assert nn.Parameter.__dict__["__new__"] is before


def test_who_replaced_it_after_us_keeps_what_they_have():
    before = nn.Parameter.__dict__["__new__"]
    wrapping = Wrapping()
    plain = nn.Parameter.__new__
    theirs = staticmethod(plain)
    try:
        nn.Parameter.__new__ = theirs
        wrapping.undo()
        assert nn.Parameter.__dict__["__new__"] is theirs

        again = Wrapping()
        assert again.line_of(nn.Parameter(torch.ones(2))).frames
        again.undo()
        assert nn.Parameter.__dict__["__new__"] is theirs
    finally:
        nn.Parameter.__new__ = before


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


@pytest.mark.parametrize(
    ("number", "known"),
    [
        (0.5, False),
        (0.1, False),
        (100.0, False),
        (1234567.0, False),
        (-0.25, False),
        (1e-4, False),
        (0.9999, False),
        (3.142, False),
        (-2.718e-5, False),
        (2047 / 2**20, False),
        (float(torch.tensor(0.123456, dtype=torch.float16)), False),
        (float("nan"), False),
        (float("-inf"), False),
        (3e38, False),
        (2049 / 2**20, True),
        (1.2345, True),
        (-0.099991, True),
        (float(torch.tensor(0.31415)), True),
        (1.2345678e-20, True),
    ],
)
def test_only_numbers_of_many_digits_are_recognised(number, known):
    numbers = Numbers()
    numbers.left([number], 7)

    assert numbers.sources(torch.tensor([number])) == ((7,) if known else ())


def test_round_numbers_say_nothing():
    numbers = Numbers()
    numbers.left([0.0, 1.0, 0.5, 0.1234567], 7)

    assert numbers.sources(torch.tensor([0.0, 1.0])) == ()
    assert numbers.sources(torch.tensor([0.5, 0.1234567])) == (7,)
    assert numbers.sources(torch.tensor([0.1234567, 0.7654321])) == ()


def test_each_number_may_have_come_out_of_another_value():
    numbers = Numbers()
    drawn = [0.1234567 + n / 7 for n in range(10)]
    for n, number in enumerate(drawn):
        numbers.left(number, n)

    assert numbers.sources(torch.tensor(drawn)) == tuple(range(10))
