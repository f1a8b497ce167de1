"""A user's autograd.Function that keeps a gradient to itself: the line inside of it that does so."""

from __future__ import annotations

import torch
from torch import nn

from gradscope.session import Session


class Marks(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        y = x.round()
        ctx.mark_non_differentiable(y)  # here
        return y

    @staticmethod
    def backward(ctx, grad):
        return grad


class Zeros(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.round()

    @staticmethod
    def backward(ctx, grad):
        return torch.zeros_like(grad)  # here


class Weighs(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight):
        ctx.weight = weight
        return x.view_as(x)

    @staticmethod
    def backward(ctx, grad):
        return grad * ctx.weight, None


def told(apply):
    torch.manual_seed(0)
    front, back = nn.Linear(4, 4), nn.Linear(4, 1)
    optimizer = torch.optim.SGD([*front.parameters(), *back.parameters()], lr=0.01)
    with Session() as session:
        for _ in range(6):
            optimizer.zero_grad()
            back(apply(4 * front(torch.randn(8, 4)))).sub(1).pow(2).mean().backward()  # applied
            optimizer.step()
    (found,) = session.report().findings
    return found


def test_the_line_that_marks_the_result_as_non_differentiable():
    found = told(Marks.apply)
    assert (found.code, found.cause) == ("GS101", "custom_function")
    assert (found.location.function, found.location.text) == ("forward", "ctx.mark_non_differentiable(y)  # here")
    assert found.path[-2].text.endswith("# applied")


def test_the_line_that_returns_zeros():
    found = told(Zeros.apply)
    assert (found.code, found.cause) == ("GS201", "custom_function")
    assert (found.location.function, found.location.text) == ("backward", "return torch.zeros_like(grad)  # here")


def test_a_factor_of_zero_that_it_was_given_is_told_where_it_was_applied():
    found = told(lambda x: Weighs.apply(x, 0.0))
    assert (found.code, found.cause) == ("GS201", "zero_multiplier")
    assert found.location.text.endswith("# applied")
