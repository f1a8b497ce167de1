"""Weights whose gradient is zero because all they are multiplied with is: blamed on the line that made it so."""

from __future__ import annotations

import inspect

import pytest
import torch
from torch import nn

import gradscope
from gradscope.session import Session


def scaled(x):
    return x * 0.0  # blamed


def whole(x):
    return torch.div(x.abs().clamp(max=0.9), 1.0, rounding_mode="floor").floor()  # blamed


def empty(x):
    return torch.zeros(x.shape)  # blamed


def divided(x):
    pixels = (x.sigmoid() * 255).detach().long()
    return (pixels // 256).float()  # blamed


def findings_of(way):
    torch.manual_seed(0)
    side, body, head = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(8, 2)
    optimizer = torch.optim.SGD([*side.parameters(), *body.parameters(), *head.parameters()], 0.1)

    def step():
        x = torch.randn(8, 4)
        hidden = torch.cat([side(way(x)), body(x)], 1)
        optimizer.zero_grad()
        nn.functional.cross_entropy(head(hidden), torch.randint(0, 2, (8,))).backward()
        optimizer.step()

    return gradscope.explain(step, repeat=6, models={"side": side, "body": body, "head": head}).findings


@pytest.mark.parametrize("way", [scaled, whole, empty, divided])
def test_the_line_that_makes_zeros_is_told_and_not_the_layer_that_is_given_them(way):
    (finding,) = findings_of(way)
    source, first = inspect.getsourcelines(way)
    blamed = first + next(at for at, line in enumerate(source) if "# blamed" in line)

    assert (finding.code, finding.model, finding.parameters) == ("GS201", "side", ("weight",))
    assert finding.location is not None
    assert finding.location.line == blamed
    assert "given is all zero" in finding.message


def test_a_bias_dies_with_its_weight():
    """That only a bias shifts what follows is believed as long as its weight gets something."""
    torch.manual_seed(0)
    body, head = nn.Linear(4, 4), nn.Linear(4, 2)
    optimizer = torch.optim.SGD([*body.parameters(), *head.parameters()], 0.1)
    turn = 0

    def step():
        nonlocal turn
        turn += 1
        hidden = body(torch.randn(8, 4))
        hidden = hidden.clamp(100, 101) if turn > 4 else hidden
        optimizer.zero_grad()
        nn.functional.cross_entropy(head(hidden), torch.randint(0, 2, (8,))).backward()
        optimizer.step()

    found = gradscope.explain(step, repeat=20, models={"body": body, "head": head}).findings
    assert [f.parameters for f in found if f.model == "body"] == [("weight", "bias")]


@pytest.mark.parametrize("keeps", [False, True])
def test_a_hook_that_chooses_is_meant(keeps):
    """Of two tables one is masked as a whole: on purpose where the same line leaves the other one something."""
    torch.manual_seed(0)
    tables = nn.ModuleDict({"old": nn.Embedding(6, 4), "new": nn.Embedding(6, 4)})
    head = nn.Linear(4, 2)
    for name, table in tables.items():
        mask = torch.full((6, 1), float(keeps and name == "new"))
        table.weight.register_hook(lambda grad, mask=mask: grad * mask)
    optimizer = torch.optim.SGD([*tables.parameters(), *head.parameters()], 0.1)

    def step():
        rows = torch.arange(6)
        optimizer.zero_grad()
        head(tables["old"](rows) + tables["new"](rows)).square().mean().backward()
        optimizer.step()

    found = gradscope.explain(step, repeat=6, models={"tables": tables, "head": head}).findings
    assert {f.cause for f in found} == {"grad_hook"}
    assert {f.severity for f in found} == ({"info"} if keeps else {"error"})


def test_zero_rows_of_a_table_are_not_blamed_on_the_indices():
    torch.manual_seed(0)
    table, body, head = nn.Embedding(6, 4, padding_idx=0), nn.Linear(4, 4), nn.Linear(8, 2)
    optimizer = torch.optim.SGD([*table.parameters(), *body.parameters(), *head.parameters()], 0.1)
    side = nn.Linear(4, 4)
    optimizer.add_param_group({"params": side.parameters()})

    def step():
        rows = torch.full((8,), 0)
        hidden = torch.cat([side(table(rows)), body(torch.randn(8, 4))], 1)  # the line
        optimizer.zero_grad()
        nn.functional.cross_entropy(head(hidden), torch.randint(0, 2, (8,))).backward()
        optimizer.step()

    models = {"table": table, "side": side, "body": body, "head": head}
    (finding,) = [f for f in gradscope.explain(step, repeat=6, models=models).findings if f.model == "side"]
    assert finding.location is not None
    assert "the line" in finding.location.text


def test_a_mask_that_is_all_false_and_is_what_a_weight_is_given():
    (finding,) = findings_of(lambda x: (x > 100).float())
    assert (finding.parameters, finding.cause) == (("weight",), "masked")
    assert finding.location is not None
    assert "x > 100" in finding.location.text


def test_a_hook_on_every_parameter_is_told_once():
    torch.manual_seed(0)
    body, head = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4)), nn.Linear(4, 2)
    for parameter in body.parameters():
        parameter.register_hook(lambda grad: torch.where(grad.abs() > 100, grad, 0.0))
    optimizer = torch.optim.SGD([*body.parameters(), *head.parameters()], 0.1)

    def step():
        optimizer.zero_grad()
        head(body(torch.randn(8, 4))).square().mean().backward()
        optimizer.step()

    (finding,) = gradscope.explain(step, repeat=6, models={"body": body, "head": head}).findings

    assert (finding.code, finding.cause, len(finding.parameters)) == ("GS201", "grad_hook", 4)
    assert finding.message.startswith("body gets only zeros")


class Routed(nn.Module):
    """A router that takes the same expert every time."""

    def __init__(self) -> None:
        super().__init__()
        self.experts = nn.ModuleList(nn.Linear(4, 4) for _ in range(4))

    def forward(self, x):
        chosen = torch.zeros(len(x), dtype=torch.long)
        result = torch.zeros_like(x)
        for number, expert in enumerate(self.experts):
            mask = chosen == number
            result[mask] = expert(x[mask])
        return result


def test_experts_that_are_never_taken_are_no_error():
    torch.manual_seed(0)
    net = Routed()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    with Session() as session:
        for _ in range(8):
            optimizer.zero_grad()
            net(torch.randn(8, 4)).sub(1).pow(2).mean().backward()
            optimizer.step()
    (found,) = session.report().findings
    assert (found.code, found.severity, found.cause) == ("GS201", "warning", "masked")
    assert found.message.startswith("net.experts.1-3 get only zeros")
    assert "router" in found.fix


def test_a_backward_pass_that_is_given_zeros_blames_no_line_of_the_model():
    """What the first stage of a pipeline gets from a later one that is dead."""
    torch.manual_seed(0)
    stage = nn.Sequential(nn.Linear(4, 4), nn.Tanh())
    optimizer = torch.optim.SGD(stage.parameters(), 0.1)

    def step():
        optimizer.zero_grad()
        stage(torch.randn(8, 4)).backward(torch.zeros(8, 4))  # handed in
        optimizer.step()

    (finding,) = gradscope.explain(step, repeat=6, models={"stage": stage}).findings

    assert (finding.code, finding.cause) == ("GS201", "zero_multiplier")
    assert finding.location.text.endswith("# handed in")
    assert "is given is zero already" in finding.message


def trained(front, back, between, steps=6):
    """What is found where `between` lies on the way from one to the other."""
    torch.manual_seed(0)
    optimizer = torch.optim.SGD([*front.parameters(), *back.parameters()], 0.1)

    def step():
        hidden = between(front(torch.randn(8, 4)))
        optimizer.zero_grad()
        nn.functional.cross_entropy(back(hidden), torch.randint(0, 2, (8,))).backward()
        optimizer.step()

    return gradscope.explain(step, repeat=steps, models={"front": front, "back": back}).findings


@pytest.mark.parametrize("between", ["dropout", "ids", "relu"])
def test_what_lies_before_a_factor_of_zero_is_no_mask(between):
    """A dropout, numbers that are looked up, a ReLU: none of them has made the zeros, whatever comes from them."""
    front = nn.Embedding(9, 4) if between == "ids" else nn.Linear(4, 4)
    layer = {"dropout": nn.Dropout(0.5), "relu": nn.ReLU()}.get(between, nn.Identity())
    if between == "ids":
        look_up = front.forward
        front.forward = lambda x: look_up(x[:, 0].abs().long() % 9)

    found = trained(front, nn.Linear(4, 2), lambda hidden: layer(layer(hidden) * 0.0))  # blamed

    assert {f.cause for f in found} == {"zero_multiplier"}
    assert {f.location.text.endswith("# blamed") for f in found} == {True}
    assert {f.model for f in found} == {"front", "back"}


def test_a_mask_that_hides_everything_is_still_one():
    (back, front) = sorted(
        trained(nn.Linear(4, 4), nn.Linear(4, 2), lambda hidden: hidden * (hidden.detach() > 1e6).float()),
        key=lambda f: f.model,
    )

    assert front.cause == "masked"
    assert back.cause == "masked" or "given is all zero" in back.message


def test_a_step_size_of_whole_numbers_is_told_where_it_is_divided():
    times = torch.tensor([0, 1, 2])
    front = nn.Linear(4, 4)

    def solve(hidden):
        step = (times[1] - times[0]) // 4  # blamed
        return torch.randn(8, 4) + step * hidden

    (found,) = [f for f in trained(front, nn.Linear(4, 2), solve) if f.model == "front"]

    assert found.cause == "zero_multiplier"
    assert "a division has rounded down to zero" in found.message
    assert found.location.text.endswith("# blamed")


@pytest.mark.parametrize("draw", [lambda mean: torch.normal(mean, 1.0), lambda rate: torch.poisson(rate.exp())])
def test_a_sample_that_is_drawn_has_no_derivative(draw):
    found = trained(nn.Linear(4, 4), nn.Linear(4, 2), draw)

    assert {(f.model, f.cause) for f in found} == {("front", "zero_derivative")}
