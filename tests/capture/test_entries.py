"""What is known of one parameter."""

from __future__ import annotations

from torch import nn

from gradscope.capture.entries import misset_in


def test_only_true_set_on_a_module_is_a_thaw_that_was_meant():
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 2))
    net[0].requires_grad, net[1].requires_grad = True, False

    assert {id(tensor) for tensor in misset_in(net)} == {id(tensor) for tensor in net[0].parameters()}
