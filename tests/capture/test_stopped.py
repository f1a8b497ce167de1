"""Gradients that come at first and never again: the line that has kept them away since."""

from __future__ import annotations

import inspect

import pytest
import torch
from torch import nn

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
