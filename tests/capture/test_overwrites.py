"""Overwriting in place: blamed is the line that wrote over it, and only where memory proves it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gradscope.session import Session


def left_told(join, steps=5):
    """What is told of the first of two networks, whose results `join` puts together."""
    torch.manual_seed(0)
    left, right, head = nn.Linear(3, 4), nn.Linear(3, 4), nn.Linear(8, 1)
    optimizer = torch.optim.SGD([*left.parameters(), *right.parameters(), *head.parameters()], lr=0.01)
    with Session() as session:
        for _ in range(steps):
            x = torch.randn(16, 3)
            optimizer.zero_grad()
            head(join(left(x), right(x))).sub(1).pow(2).mean().backward()
            optimizer.step()
    return [f for f in session.report().findings if f.code == "GS201"]


def same_columns(a, b):
    joint = torch.zeros(16, 8)
    joint[:, :4] = a
    joint[:, 0:4] = b  # over
    return joint


def in_two_parts(a, b):
    joint = torch.zeros(16, 8)
    joint[:, 2:6] = a
    joint[:, :3] = b[:, :3]
    joint[:, 3:7] = b  # over
    return joint


def through_views(a, b):
    joint = torch.zeros(16, 2, 4)
    joint[:, 0].copy_(a)
    joint[:, 0].copy_(b)  # over
    return joint.flatten(1)


def copied_over(a, b):
    a.copy_(b)  # over
    return torch.cat([a, b], 1)


def zeroed(a, b):
    a.zero_()  # over
    return torch.cat([a, b], 1)


def all_columns(a, b):
    a[:] = b  # over
    return torch.cat([a, b], 1)


def half_by_half(a, b):
    a[:, :2] = b[:, :2]  # over
    a[:, 2:] = b[:, 2:]  # over
    return torch.cat([a, b], 1)


def column_by_column(a, b):
    for column in range(4):
        a[:, column] = b[:, column]  # over
    return torch.cat([a, b], 1)


OVER = [
    same_columns, in_two_parts, through_views, copied_over, zeroed, all_columns, half_by_half, column_by_column,
]  # fmt: skip


@pytest.mark.parametrize("join", OVER)
def test_the_line_that_overwrites_is_blamed(join):
    (told,) = left_told(join)
    assert told.cause == "masked"
    assert told.location.text.endswith("# over")
    assert "overwritten in place" in told.message
    assert "torch.cat" in told.fix


def never_read(a, b):
    joint = torch.zeros(16, 12)
    joint[:, :4] = a
    joint[:, 4:8] = b
    return joint[:, 4:]


def partly(a, b):
    joint = torch.zeros(16, 12)
    joint[:, :4] = a
    joint[:, :3] = b[:, :3]
    return joint[:, 4:] + joint[:, 4:]


def read_before(a, b):
    joint = torch.zeros(16, 8)
    joint[:, :4] = a
    read = joint[:, :4] * 0
    joint[:, :4] = b
    return torch.cat([read, joint[:, :4]], 1)


@pytest.mark.parametrize("join", [never_read, partly, read_before])
def test_what_is_not_overwritten_before_it_is_read_is_told_otherwise(join):
    for told in left_told(join):
        assert "overwritten" not in told.message


def test_a_part_that_is_left_is_no_finding():
    def join(a, b):
        a = torch.cat([a, b], 1)
        a[:, :2] = 0
        a[:, 1:3] = 0
        return a

    assert left_told(join) == []
