"""Tracing of whole runs: until nothing new turns up, then on suspicion."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.overrides import _get_current_function_mode

from gradscope.capture import continuous, tape
from gradscope.session import Session

CALM = 5


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(continuous, "CALM", CALM)


class Loop:
    """Two models, one loss; what a turn does can be changed from outside."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.encoder, self.decoder = nn.Linear(4, 3), nn.Linear(3, 4)
        self.optimizer = torch.optim.SGD([*self.encoder.parameters(), *self.decoder.parameters()], lr=0.01)
        self.cut = self.broken = False
        self.to_none = True
        self.scale = 1.0
        self.losses: list[float] = []

    def run(self, steps: int) -> None:
        for _ in range(steps):
            x = torch.randn(8, 4)
            code = self.encoder(x)
            if self.cut:
                code = code.detach()
            out = self.decoder(code)
            if self.broken:
                out = out / (out - out)
            loss = (out - x).pow(2).mean() * self.scale
            self.optimizer.zero_grad(set_to_none=self.to_none)
            loss.backward()
            self.optimizer.step()
            self.losses.append(loss.item())


def watched(loop: Loop, steps: int):
    with Session() as session:
        loop.run(steps)
        return session.report()


def test_tracing_ends_when_nothing_new_turns_up():
    with Session() as session:
        Loop().run(30)
        assert session._capture.tape is None
        assert _get_current_function_mode() is None
    report = session.report()

    assert report.ok
    assert report.run.steps == 30
    assert report.run.backwards == 30
    assert CALM <= report.run.traced <= CALM + 4


def test_what_was_traced_is_still_known_at_the_end():
    loop = Loop()
    loop.cut = True

    report = watched(loop, 40)

    (finding,) = report.findings
    assert (finding.code, finding.cause) == ("GS101", "detach")
    assert finding.location is not None
    assert finding.location.text == "code = code.detach()"
    assert report.run.graph is not None


def test_something_new_is_traced_again():
    loop = Loop()
    with Session() as session:
        loop.run(20)
        before = session.facts().traced
        loop.broken = True
        loop.run(5)
    report = session.report()

    assert before < report.run.traced <= before + 3
    assert {f.code for f in report.findings} == {"GS301"}


def test_a_mode_of_the_user_is_left_where_it_is():
    loop = Loop()
    with Session() as session:
        with torch.device("cpu"):
            theirs = _get_current_function_mode()
            loop.run(20)
            assert _get_current_function_mode() is theirs
        loop.run(3)
        assert _get_current_function_mode() is None
    assert session.report().ok


@pytest.mark.parametrize("to_none", [True, False])
def test_a_full_tape_ends_tracing_and_accuses_nobody(monkeypatch, to_none):
    monkeypatch.setattr(continuous, "CALM", 10_000)
    monkeypatch.setattr(tape, "LIMIT", 300)
    loop = Loop()
    loop.to_none = to_none

    report = watched(loop, 60)

    assert report.findings == ()
    assert 0 < report.run.traced < 50


def test_the_training_is_the_same_bit_by_bit():
    plain, seen = Loop(), Loop()
    plain.run(25)
    seen = Loop()
    watched(seen, 25)

    assert seen.losses == plain.losses
    assert torch.equal(seen.encoder.weight, plain.encoder.weight)


def test_a_model_that_joins_late_is_traced_again(monkeypatch):
    monkeypatch.setattr(continuous, "AGAIN", 2)
    first, second = Loop(), Loop()
    second.cut = True
    with Session() as session:
        first.run(20)
        before = session.facts().traced
        second.run(20)
    report = session.report()

    assert before < report.run.traced <= before + 6
    (finding,) = report.findings
    assert (finding.model, finding.cause) == ("second.encoder", "detach")


class Changing(Loop):
    """A loop that is well all the time, with things that happen to it."""

    def __init__(self) -> None:
        super().__init__()
        self.side = nn.Linear(3, 4)
        self.with_side = False
        self.optimizer.add_param_group({"params": self.side.parameters()})
        for parameter in self.side.parameters():
            parameter.grad = torch.zeros_like(parameter)
        self.decode, self.decoder = self.decoder, self.through

    def through(self, code):
        return self.decode(code) + (self.side(code) if self.with_side else 0)


def another_optimizer(loop):
    loop.optimizer = torch.optim.SGD([*loop.encoder.parameters(), *loop.decode.parameters()], lr=0.01)


def another_group(loop):
    loop.more = nn.Parameter(torch.ones(3))
    loop.optimizer.add_param_group({"params": [loop.more]})


def frozen(loop):
    loop.encoder.requires_grad_(False)


def other_parameters_get_gradients(loop):
    loop.with_side = True


def division_by_zero(loop):
    loop.broken = True


@pytest.mark.parametrize(
    "change", [another_optimizer, another_group, frozen, other_parameters_get_gradients, division_by_zero]
)
def test_news_is_traced_again(change):
    loop = Changing()
    with Session() as session:
        loop.run(25)
        before = session.facts().traced
        loop.run(5)
        assert session.facts().traced == before
        change(loop)
        loop.run(5)
        assert session.facts().traced > before


def test_what_was_wrong_from_the_start_is_not_traced_again():
    loop = Loop()
    loop.cut = True

    assert watched(loop, 60).run.traced <= CALM + 4


def test_a_gradient_that_becomes_tiny_is_traced_again():
    loop = Loop()
    with Session() as session:
        loop.run(20)
        before = session.facts().traced
        loop.scale = 1e-12
        loop.run(110)

    assert before < session.facts().traced <= before + 3


def test_tracing_goes_on_no_longer_than_most(monkeypatch):
    monkeypatch.setattr(continuous, "MOST", 10)
    monkeypatch.setattr(continuous, "CALM", 1000)

    assert 9 <= watched(Loop(), 40).run.traced <= 11


def test_nothing_is_traced_for_news_when_most_is_used_up(monkeypatch):
    monkeypatch.setattr(continuous, "MOST", 10)
    monkeypatch.setattr(continuous, "CALM", 1000)
    first, second = Loop(), Loop()
    with Session() as session:
        first.run(20)
        before = session.facts().traced
        second.run(5)
        assert session.facts().traced == before
