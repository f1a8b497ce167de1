"""What findings of live models say: the cause of deep nets, samples and half precision, of one parameter or many."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import gradscope
from gradscope.diagnosis.plural import plural


def findings(net, loss_of, code, steps=4):
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-12)

    def step():
        optimizer.zero_grad()
        loss_of().backward()
        optimizer.step()

    report = gradscope.explain(step, repeat=steps, net=net)
    return [finding for finding in report.findings if finding.code == code]


class Stack(nn.Module):
    """Layers one after another: as many as uses, or one again and again."""

    def __init__(self, depth, *, shared, gain, act=None):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.ModuleList(nn.Linear(8, 8, bias=False) for _ in range(1 if shared else depth))
        for layer in self.layers:
            nn.init.orthogonal_(layer.weight, gain)
        self.depth, self.act = depth, act or nn.Identity()

    def forward(self, x):
        for number in range(self.depth):
            x = self.layers[number % len(self.layers)](x)
            x = self.act(x)
        return x


@pytest.mark.parametrize(
    ("shared", "gain", "code", "cause"),
    [
        (True, 0.4, "GS401", "long_recurrence"),
        (False, 0.05, "GS401", "small_init"),
        (False, 0.4, "GS401", "missing_residual"),
        (True, 2.0, "GS402", "long_recurrence"),
        (False, 3.0, "GS402", "large_init"),
    ],
)
def test_layers_of_a_loop_are_no_recurrence(shared, gain, code, cause):
    depth = 12 if gain == 0.05 else 24
    net = Stack(depth, shared=shared, gain=gain)
    found = findings(net, lambda: net(torch.ones(4, 8)).mean(), code)

    assert {finding.cause for finding in found} == {cause}


def test_where_it_became_zero_is_what_made_it_tiny():
    net = Stack(80, shared=False, gain=1.0, act=nn.Sigmoid())
    found = findings(net, lambda: net(torch.ones(4, 8)).mean(), "GS201")

    assert {finding.cause for finding in found} == {"saturating_depth"}


@pytest.mark.parametrize("where", ["distribution", "block"])
def test_only_a_sample_is_told_to_use_rsample(where):
    encoder, decoder = nn.Linear(4, 3), nn.Linear(3, 1)
    net = nn.ModuleDict({"encoder": encoder, "decoder": decoder})

    def loss():
        mean = encoder(torch.ones(8, 4))
        if where == "distribution":
            code = torch.distributions.Normal(mean, 1.0).sample()
        else:
            with torch.no_grad():
                code = mean + torch.randn_like(mean)
        return decoder(code).pow(2).mean()

    (finding,) = findings(net, loss, "GS101")

    assert finding.cause == "no_grad"
    assert ("rsample()" in finding.fix) == (where == "distribution")


@pytest.mark.parametrize(
    ("after", "before", "cause"), [(1e-9, 1.0, "low_precision_underflow"), (1.0, 0.0, "zero_multiplier")]
)
def test_what_half_precision_loses_is_no_zero_factor(after, before, cause):
    net = nn.Linear(4, 3)

    def loss():
        out = net(torch.ones(8, 4)).half() * before
        return out.float().mean() * after

    assert {finding.cause for finding in findings(net, loss, "GS201")} == {cause}


@pytest.mark.parametrize("many", [False, True])
def test_one_parameter_gets_and_several_get(many):
    net = nn.ModuleDict({name: nn.Linear(4, 3, bias=False) for name in ("used", "gate", "glow")})

    def loss():
        x = torch.ones(8, 4)
        gated = net["gate"](x) + net["glow"](x) if many else net["gate"](x)
        return (net["used"](x) + gated * 0.0).pow(2).mean()

    (finding,) = findings(net, loss, "GS201")
    said = (
        "2 parameters of net get only zeros as gradient: they are multiplied by zero"
        if many
        else "net.gate.weight gets only zeros as gradient: it is multiplied by zero"
    )
    assert finding.message.startswith(said)


@pytest.mark.parametrize(
    ("one", "several"),
    [
        ("gets no gradient", "get no gradient"),
        ("is never updated", "are never updated"),
        ("does not learn", "do not learn"),
        ("receives gradients", "receive gradients"),
    ],
)
def test_what_several_do(one, several):
    assert plural(one) == several


@pytest.mark.parametrize("leaks", [True, False])
def test_a_grad_mode_that_leaks_has_its_line(leaks):
    student, critic = nn.Linear(8, 4), nn.Linear(4, 2)
    optimizer = torch.optim.SGD([*student.parameters(), *critic.parameters()], lr=0.1)

    def evaluate():
        torch.set_grad_enabled(False)
        student(torch.ones(4, 8))
        torch.set_grad_enabled(not leaks)

    def loop():
        for turn in range(12):
            hidden = student(torch.randn(8, 8))
            with torch.enable_grad():
                loss = critic(hidden).pow(2).mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            if turn == 3:
                evaluate()

    try:
        report = gradscope.explain(loop, student=student, critic=critic)
    finally:
        torch.set_grad_enabled(True)
    said = [(f.code, f.model, f.cause, f.location.text) for f in report.findings]
    assert said == ([("GS104", "student", "no_grad", "torch.set_grad_enabled(False)")] if leaks else [])
