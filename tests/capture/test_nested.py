"""Tensors that are no dense block of numbers: nested ones, and gradients in a compressed sparse layout."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import nn

from gradscope.capture.backward import size
from gradscope.session import Session


@pytest.fixture(autouse=True)
def beta():
    """torch warns that nested and compressed tensors are new."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*(nested|beta state|CSR).*")
        yield


def train(layout, *, cut):
    net, head = nn.Linear(4, 4), nn.Linear(4, 1)
    optimizer = torch.optim.SGD([*net.parameters(), *head.parameters()], 0.1)
    for _ in range(6):
        x = torch.nested.nested_tensor([torch.randn(3, 4), torch.randn(2, 4)], layout=layout)
        hidden = torch.nested.to_padded_tensor(net(x), 0.0)
        hidden = hidden.detach() if cut else hidden  # here
        optimizer.zero_grad()
        head(hidden).pow(2).mean().backward()
        optimizer.step()


@pytest.mark.parametrize("layout", [torch.strided, torch.jagged], ids=["strided", "jagged"])
def test_nested_tensors_are_followed_to_the_cut(layout):
    torch.manual_seed(0)
    with Session() as session:
        train(layout, cut=True)
        (finding,) = session.report().findings

    assert (finding.code, finding.model, finding.cause) == ("GS101", "net", "detach")
    assert finding.location.text.endswith("# here")


@pytest.mark.parametrize("layout", [torch.strided, torch.jagged], ids=["strided", "jagged"])
def test_a_training_on_nested_tensors_is_sound(layout):
    torch.manual_seed(0)
    with Session() as session:
        train(layout, cut=False)
        report = session.report()

    assert not report.findings
    assert not report.run.notes


def test_the_size_of_a_gradient_is_that_of_its_numbers():
    dense = torch.tensor([[0.0, -3.0], [2.0, 0.0]])
    nested = torch.nested.nested_tensor([torch.tensor([1.0, -4.0]), torch.tensor([2.0])])

    assert size(dense.to_sparse_csr()) == size(dense.to_sparse_csc()) == size(dense.to_sparse()) == size(dense) == 3.0
    assert size(nested) == 4.0
