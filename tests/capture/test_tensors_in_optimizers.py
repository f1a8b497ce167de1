"""Plain tensors that are trained: poses, latents, images. That they are parameters shows when their optimizer steps."""

from __future__ import annotations

import inspect

import pytest
import torch
from torch import nn

from gradscope.session import Session


def without_grad(x: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():  # blamed
        return x * 1.0


WAYS = {
    "detach": lambda x: x.detach(),
    "data": lambda x: x.data,
    "numpy": lambda x: torch.from_numpy(x.detach().numpy()),
    "new_tensor": lambda x: torch.tensor(x.tolist()),
    "item": lambda x: x[0].item(),
    "no_grad": without_grad,
}


def made(how: str) -> torch.Tensor:
    match how:
        case "zeros":
            return torch.zeros(3).requires_grad_()
        case "argument":
            return torch.randn(3, requires_grad=True)
        case "attribute":
            pose = torch.randn(3)
            pose.requires_grad = True
            return pose
    return nn.Linear(2, 3)(torch.randn(2)).detach().requires_grad_()


def findings_of(pose, holder, way, *, late: int = 0):
    net = nn.Linear(3, 1)
    params = [*net.parameters(), pose]
    optimizer = None if late else torch.optim.SGD(params, lr=0.01)
    with Session() as session:
        for turn in range(8):
            if late and turn == late:
                optimizer = torch.optim.SGD(params, lr=0.01)
            x = torch.randn(4, 3) + way(holder(pose))
            net(x).pow(2).mean().backward()
            if optimizer is not None:
                optimizer.step()
                optimizer.zero_grad()
        return session.report().findings


@pytest.mark.parametrize("cause", WAYS)
@pytest.mark.filterwarnings("ignore:To copy construct")
def test_the_line_that_cuts_a_plain_tensor_is_told(cause):
    (finding,) = findings_of(made("zeros"), lambda pose: pose, WAYS[cause])
    assert (finding.code, finding.model, finding.cause) == ("GS101", "pose", "item" if cause == "new_tensor" else cause)
    source, first = inspect.getsourcelines(WAYS[cause])
    blamed = [first + at for at, line in enumerate(source) if "blamed" in line] or [first]
    assert finding.location.line == blamed[0]


@pytest.mark.parametrize("how", ["zeros", "argument", "attribute", "computed"])
@pytest.mark.parametrize("late", [0, 4])
def test_however_it_was_made_and_whenever_its_optimizer_was_built(how, late):
    (finding,) = findings_of(made(how), lambda pose: pose, WAYS["detach"], late=late)
    assert (finding.code, finding.cause) == ("GS101", "detach")


@pytest.mark.parametrize("container", [lambda pose: [pose][0], lambda pose: {"pose": pose}["pose"]])
def test_out_of_a_list_or_a_dict(container):
    (finding,) = findings_of(made("zeros"), container, WAYS["data"])
    assert (finding.code, finding.cause) == ("GS101", "data")


def test_a_tensor_that_nothing_reads_is_still_unused():
    (finding,) = findings_of(made("zeros"), lambda pose: pose, lambda _: 1.0)
    assert (finding.code, finding.cause) == ("GS102", "unused_module")


def test_what_was_read_before_it_was_made_a_leaf_is_not_the_parameter():
    raw, net = torch.randn(3), nn.Linear(3, 1)
    with Session() as session:
        target = raw.sum()
        pose = raw.requires_grad_()
        optimizer = torch.optim.SGD([*net.parameters(), pose], lr=0.01)
        for _ in range(4):
            (net(torch.randn(4, 3)) - target).pow(2).mean().backward()
            optimizer.step()
            optimizer.zero_grad()
        (finding,) = session.report().findings
    assert finding.code == "GS102"


def test_a_trained_tensor_made_of_an_output_leaves_the_blame_with_the_detach():
    encoder, decoder = nn.Linear(3, 3), nn.Linear(3, 1)
    optimizer = torch.optim.SGD([*encoder.parameters(), *decoder.parameters()], lr=0.01)
    with Session() as session:
        for _ in range(4):
            optimizer.zero_grad()
            z = encoder(torch.randn(4, 3)).detach().clone().requires_grad_()
            inner = torch.optim.SGD([z], lr=0.1)
            decoder(z).pow(2).mean().backward()
            inner.step()
            optimizer.step()
        (finding,) = [f for f in session.report().findings if f.model == "encoder"]
    assert (finding.code, finding.cause) == ("GS101", "detach")
