"""In this file only one group is written down: that of the healthy one of two optimizers of one name."""

from __future__ import annotations

import torch
from torch import nn

import gradscope


def test_a_group_that_another_optimizer_of_its_name_was_given_is_no_line_of_it():
    found = []
    for healthy in (False, True):
        enc, dec = nn.Linear(3, 4), nn.Linear(4, 1)
        if healthy:
            opt = torch.optim.SGD(dec.parameters(), lr=0.1)
            opt.add_param_group({"params": enc.parameters()})
        else:
            opt = torch.optim.SGD(dec.parameters(), lr=0.1)
        with gradscope.watch(enc=enc, dec=dec) as scope:
            for _ in range(9):
                opt.zero_grad()
                dec(enc(torch.randn(4, 3))).square().mean().backward()
                opt.step()
        found += scope.report().findings
    (finding,) = found
    assert (finding.code, finding.model) == ("GS501", "enc")
    assert finding.location is None or "add_param_group" not in finding.location.text
