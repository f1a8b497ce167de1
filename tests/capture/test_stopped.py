"""Gradients that come at first and never again: the line that has kept them away since."""

from __future__ import annotations

import inspect

import pytest
import torch
from torch import nn

import gradscope
from gradscope.session import Session

FIRST = 5


def findings_of(turn, *, to_none: bool = True, steps: int = 20):
    encoder, decoder = nn.Linear(3, 4), nn.Linear(4, 1)
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=0.01)
    with Session() as session:
        for i in range(steps):
            optimizer.zero_grad(set_to_none=to_none)
            turn(i, encoder, decoder, torch.randn(8, 3)).backward()
            optimizer.step()
        return {f.code: f for f in session.report().findings}


def cuts(i, encoder, decoder, x):
    h = encoder(x)
    if i >= FIRST:
        h = h.detach()  # blamed
    return decoder(h).pow(2).mean()


def reads_data(i, encoder, decoder, x):
    h = encoder(x)
    return decoder(h if i < FIRST else h.data).pow(2).mean()  # blamed


def cuts_beside(i, encoder, decoder, x):
    """The detached term is there from the start; the one that trained the encoder is left out later."""
    loss = decoder(encoder(x).detach()).pow(2).mean()
    return loss + encoder(x).pow(2).mean() if i < FIRST else loss


def blamed(turn) -> int:
    source, first = inspect.getsourcelines(turn)
    return first + next(at for at, line in enumerate(source) if "# blamed" in line)


@pytest.mark.parametrize("steps", [20, 130])
@pytest.mark.parametrize("turn", [cuts, reads_data])
def test_the_line_that_cuts_from_some_step_on_is_told_as_info_also_after_tracing_has_ended(turn, steps):
    found = findings_of(turn, steps=steps)
    assert found.keys() == {"GS104"}
    assert (found["GS104"].severity.value, found["GS104"].location.line) == ("info", blamed(turn))
    assert f"at the last {steps - FIRST} of the {steps} steps" in found["GS104"].detail


def test_a_cut_that_was_there_while_gradients_came_is_not_blamed():
    found = findings_of(cuts_beside)
    assert found.keys() == {"GS104"}
    assert (found["GS104"].cause, found["GS104"].location) == ("unknown", None)


def test_a_cut_that_zeros_hide_is_named_beside_them():
    found = findings_of(cuts, to_none=False)
    assert found.keys() == {"GS104", "GS510"}
    assert (found["GS104"].cause, found["GS104"].location.line) == ("detach", blamed(cuts))


def test_a_cut_that_was_lifted_again_is_not_blamed_for_what_stops_later():
    def there_and_back(i, encoder, decoder, x):
        h = encoder(x)
        if i >= 130:
            return decoder(torch.ones(8, 4)).pow(2).mean()
        return decoder(h.detach() if FIRST <= i < 120 else h).pow(2).mean()

    found = findings_of(there_and_back, steps=400)
    assert found.keys() == {"GS104"}
    assert (found["GS104"].cause, found["GS104"].location) == ("unknown", None)


def kept(carried: bool):
    """A tower that computes once, before the loop; what it made is used, or carried on through a cell, ever after."""
    tower, cell, head = nn.Linear(3, 4), nn.GRUCell(2, 4), nn.Linear(4, 1)
    optimizer = torch.optim.Adam([*tower.parameters(), *cell.parameters(), *head.parameters()], lr=0.01)
    with Session() as session:
        state = tower(torch.randn(8, 3))
        for _ in range(12):
            used = cell(torch.randn(8, 2), state)
            optimizer.zero_grad()
            head(used).pow(2).mean().backward()
            optimizer.step()
            state = (used if carried else state).detach()
        return [f for f in session.report().findings if f.model == "tower"]


def test_what_is_computed_once_and_kept_without_its_history_is_a_warning():
    (finding,) = kept(carried=False)
    assert (finding.code, finding.severity, finding.cause) == ("GS104", "warning", "detach")
    assert finding.location is not None
    assert "state).detach()" in finding.location.text
    assert "used again" in finding.message


def test_the_first_state_of_a_sequence_that_is_cut_into_chunks_is_none():
    assert [f.severity for f in kept(carried=True)] == ["info"]


@pytest.mark.parametrize("until", [40, 5])
def test_gradients_that_are_cleared_before_the_step_are_not_told_as_cut(until):
    """From the fifth step on, or for the first five: what updates an average without gradients is not to blame."""
    encoder, head = nn.Linear(3, 4), nn.Linear(4, 1)
    average = [p.detach().clone() for p in encoder.parameters()]
    optimizer = torch.optim.Adam([*encoder.parameters(), *head.parameters()], lr=0.01)
    with Session() as session:
        for turn in range(20):
            optimizer.zero_grad()
            head(encoder(torch.randn(8, 3))).pow(2).mean().backward()
            if (turn >= FIRST) == (until > FIRST):
                for p in encoder.parameters():
                    p.grad = None  # the line
            optimizer.step()
            with torch.no_grad():
                for kept, p in zip(average, encoder.parameters(), strict=True):
                    kept.lerp_(p, 0.1)
        (finding,) = [f for f in session.report().findings if f.model == "encoder"]
    assert (finding.code, finding.severity, finding.cause) == ("GS104", "info", "zeroed_before_step")
    assert finding.location is not None
    assert "the line" in finding.location.text


def test_watching_traces_one_step_for_a_gradient_that_has_stopped():
    encoder, head = nn.Linear(3, 4), nn.Linear(4, 1)
    optimizer = torch.optim.SGD([*encoder.parameters(), *head.parameters()], lr=0.01)
    with gradscope.watch(encoder=encoder, head=head) as scope:
        for turn in scope.steps(range(40)):
            hidden = encoder(torch.randn(8, 3))
            if turn >= 10:
                hidden = hidden.detach()  # the line
            optimizer.zero_grad()
            head(hidden).pow(2).mean().backward()
            optimizer.step()
        report = scope.report()
    (finding,) = report.findings
    assert report.run.traced == 1
    assert (finding.code, finding.cause, finding.evidence) == ("GS104", "detach", "inferred")
    assert finding.location is not None
    assert "the line" in finding.location.text
