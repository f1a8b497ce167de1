"""A detach() that is there for a reason: the repair is not to take it away."""

from __future__ import annotations

import torch
from torch import nn

from gradscope.session import Session


def told(loop):
    torch.manual_seed(0)
    with Session() as session:
        loop()
    (found,) = session.report().findings
    assert (found.code, found.cause) == ("GS101", "detach")
    return found


def test_what_is_made_once_and_detached_with_what_is_carried_over():
    def loop():
        start, cell = nn.Linear(3, 4), nn.GRUCell(2, 4)
        optimizer = torch.optim.SGD([*start.parameters(), *cell.parameters()], lr=0.01)
        hidden = start(torch.randn(8, 3))
        for _ in range(6):
            hidden = cell(torch.randn(8, 2), hidden.detach())
            optimizer.zero_grad()
            hidden.pow(2).mean().backward()
            optimizer.step()

    found = told(loop)
    assert found.model == "start"
    assert found.fix.startswith("compute it anew in each step, and not once before the loop")


def test_what_a_straight_through_estimator_gives_no_gradient():
    def loop():
        encoder, book, decoder = nn.Linear(3, 4), nn.Embedding(5, 4), nn.Linear(4, 1)
        optimizer = torch.optim.SGD([p for m in (encoder, book, decoder) for p in m.parameters()], lr=0.01)
        for _ in range(6):
            z = encoder(torch.randn(8, 3))
            q = book(torch.cdist(z, book.weight).argmin(1))
            optimizer.zero_grad()
            decoder(z + (q - z).detach()).pow(2).mean().backward()
            optimizer.step()

    found = told(loop)
    assert found.model == "book"
    assert "train it with a term of its own" in found.fix


def test_what_was_cut_in_the_first_turn_only_is_not_named_beside_what_cuts_in_each():
    def loop():
        encoder, decoder = nn.GRU(3, 4), nn.Linear(4, 1)
        optimizer = torch.optim.SGD([*encoder.parameters(), *decoder.parameters()], lr=0.01)
        for _ in range(6):
            _, hidden = encoder(torch.randn(5, 8, 3))
            hidden = hidden * 1.0
            hidden.detach_()
            optimizer.zero_grad()
            decoder(hidden).pow(2).mean().backward()
            optimizer.step()

    assert told(loop).also == ()
