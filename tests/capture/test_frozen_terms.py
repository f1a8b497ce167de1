"""Frozen models that a loss has terms of, and those that a later phase's optimizer was given."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, softplus

from gradscope.session import Session


def loud(report):
    return [(f.code, f.model, f.severity) for f in report.findings if f.severity != "info"]


def learn(optimizer, loss, turns=6):
    for _ in range(turns):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()


def excess(student, teacher):
    x, y = torch.randn(8, 4), torch.randint(0, 3, (8,))
    return cross_entropy(student(x), y) - cross_entropy(teacher(x), y)


@pytest.mark.parametrize("terms", [1, 2])
def test_a_teacher_that_no_optimizer_holds_may_shift_the_loss(terms):
    student = nn.Linear(4, 3)
    with Session() as session:
        teacher = copy.deepcopy(student).requires_grad_(False)
        optimizer = torch.optim.SGD(student.parameters(), lr=0.01)
        learn(optimizer, lambda: torch.stack([excess(student, teacher) for _ in range(terms)]).sum())

    assert loud(session.report()) == []


def test_a_term_of_what_an_optimizer_holds_is_told():
    student, other = nn.Linear(4, 3), nn.Linear(4, 3)
    with Session() as session:
        other.requires_grad_(False)
        optimizer = torch.optim.SGD([*student.parameters(), *other.parameters()], lr=0.01)
        x = torch.randn(8, 4)
        learn(optimizer, lambda: student(x).square().mean() + other(x).square().mean())

    assert loud(session.report()) == [("GS103", "other", "warning")]


def test_a_reference_beside_a_sampled_action_is_no_second_finding():
    actor, offset = nn.Linear(4, 2), nn.Parameter(torch.zeros(1))
    with Session() as session:
        critic = nn.Linear(6, 1).requires_grad_(False)
        optimizer = torch.optim.SGD([*actor.parameters(), offset], lr=0.01)
        s = torch.randn(7, 4)

        def loss():
            action = torch.distributions.Normal(actor(s), 1.0).sample()
            return softplus(offset).sum() - critic(torch.cat([s, action], -1)).mean()

        learn(optimizer, loss)

    assert loud(session.report()) == [("GS101", "actor", "error")]


def load(trainable=False):
    part = nn.Linear(4, 3)
    for p in part.parameters():
        p.requires_grad = trainable
    return part


@pytest.mark.parametrize(
    ("loads", "told"),
    [(load, [("GS103", "loaded", "warning")]), (lambda: load(trainable=False), [])],
)
def test_a_part_that_is_frozen_unless_told_otherwise(loads, told):
    head, x = nn.Linear(4, 3), torch.randn(8, 4)
    with Session() as session:
        loaded = loads()
        optimizer = torch.optim.SGD(head.parameters(), lr=0.01)
        learn(optimizer, lambda: head(x).square().mean() + loaded(x).square().mean())

    assert loud(session.report()) == told


def phases(second, *, thaw=False):
    """Two phases: the first trains the head only, the second has an optimizer of these groups."""
    body, neck, head = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 3)
    x = torch.randn(8, 4)
    with Session() as session:
        body.requires_grad_(False)
        neck.requires_grad_(False)
        learn(torch.optim.SGD(head.parameters(), lr=0.01), lambda: head(neck(body(x))).square().mean())
        neck.requires_grad_(thaw)
        groups = [list(part.parameters()) for part in second(body, neck, head)]
        optimizer = torch.optim.SGD([{"params": group} for group in groups], lr=0.01)
        learn(optimizer, lambda: head(neck(body(x))).square().mean())
    return loud(session.report())


def test_a_frozen_group_that_is_all_a_later_phase_adds_is_told():
    assert phases(lambda body, neck, head: (body, head)) == [("GS103", "body", "warning")]


def test_a_phase_that_adds_what_trains_may_have_frozen_groups():
    assert phases(lambda body, neck, head: (body, neck, head), thaw=True) == []


def test_one_group_of_all_that_there_is_may_be_frozen_in_part():
    assert phases(lambda body, neck, head: (nn.Sequential(body, neck, head),)) == []
