"""A parameter whose place in the optimizer another tensor took, while the model goes on with the old one."""

from __future__ import annotations

import torch
from torch import nn

from gradscope.session import Session


class Splats:
    def __init__(self):
        self.offset, self.colour = nn.Parameter(torch.zeros(4, 2)), nn.Parameter(torch.zeros(4, 3))


def swap(splats, optimizer, *, given):
    group = optimizer.param_groups[0]
    group["params"][0] = nn.Parameter(torch.zeros(4, 2))  # the new one
    if given:
        splats.offset = group["params"][0]


def findings_of(change, *, steps=12):
    torch.manual_seed(0)
    splats = Splats()
    optimizer = torch.optim.SGD([{"params": [splats.offset]}, {"params": [splats.colour]}], lr=0.1)
    with Session() as session:
        for turn in range(steps):
            if turn == 3:
                change(splats, optimizer)
            optimizer.zero_grad()
            (splats.offset.sub(1).pow(2).mean() + splats.colour.sub(1).pow(2).mean()).backward()
            optimizer.step()
    return session.report().findings


def test_the_line_that_made_the_new_tensor_is_told():
    (finding,) = findings_of(lambda splats, optimizer: swap(splats, optimizer, given=False))

    assert (finding.code, finding.cause) == ("GS501", "stale_parameter")
    assert finding.model == "splats.offset"
    assert finding.location.text.endswith("# the new one")
    assert "updated no more" in finding.message


def test_a_tensor_that_the_model_is_given_as_well_is_sound():
    assert not findings_of(lambda splats, optimizer: swap(splats, optimizer, given=True))


def test_a_group_that_is_taken_out_is_meant():
    assert not findings_of(lambda _, optimizer: optimizer.param_groups.pop(0))


def test_a_tensor_of_another_shape_takes_no_place():
    def change(_, optimizer):
        optimizer.param_groups[0]["params"][0] = nn.Parameter(torch.zeros(7))

    assert not [f for f in findings_of(change) if f.cause == "stale_parameter"]


def test_a_tensor_that_the_model_has_under_another_name_takes_no_place():
    def change(splats, optimizer):
        splats.extra = optimizer.param_groups[0]["params"][0] = nn.Parameter(torch.zeros(4, 2))

    assert not [f for f in findings_of(change) if f.cause == "stale_parameter"]
