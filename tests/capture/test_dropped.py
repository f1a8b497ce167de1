"""A result that is returned beside others and dropped by the caller: the line that drops it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gradscope.session import Session


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.head, self.aux = nn.Linear(3, 4), nn.Linear(4, 1), nn.Linear(4, 1)

    def forward(self, x):
        x = self.stem(x)
        side = self.aux(x)  # computed
        main = self.head(x)
        return (main, side) if self.training else main


def unpacked(net, x):
    main, _ = net(x)  # dropped
    return main


def never_read(net, x):
    main, side = net(x)  # noqa: RUF059 # dropped
    return main


def first_item(net, x):
    return_value = net(x)[0]  # dropped
    return return_value  # noqa: RET504 - the value has a name


def rebound(net, x):
    out = net(x)
    if isinstance(out, tuple):
        out = out[0]  # dropped
    return out


def handed_on(net, x):
    both = net(x)
    return choose(both)


def choose(both):
    return both[0]


def looped(net, x):
    total = 0.0
    for part in (net(x),):
        total = total + part[0]
    return total


def told(call):
    torch.manual_seed(0)
    net = Net()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    with Session() as session:
        for _ in range(6):
            optimizer.zero_grad()
            call(net, torch.randn(8, 3)).sub(1).pow(2).mean().backward()
            optimizer.step()
    (found,) = session.report().findings
    assert (found.code, found.cause) == ("GS101", "unused_output")
    return found.location.text.rsplit("# ")[-1]


@pytest.mark.parametrize("call", [unpacked, never_read, first_item, rebound])
def test_the_line_that_leaves_it_is_told(call):
    assert told(call) == "dropped"


@pytest.mark.parametrize("call", [handed_on, looped])
def test_where_that_is_not_sure_it_is_the_line_that_computed_it(call):
    assert told(call) == "computed"
