"""Norms that are measured now and then: what was measured is kept, and who received a gradient is known anyway."""

from __future__ import annotations

import itertools

import pytest
import torch

import gradscope
from gradscope.capture.budget import Budget
from gradscope.capture.meter import Meter
from gradscope.capture.sample import Samples
from gradscope.records.columns import is_measured
from gradscope.render.words import known_words
from gradscope.runfile import read_run

STEPS = 2000


def train(scope, body, *optimizers):
    for step in scope.steps(range(STEPS)):
        for optimizer in optimizers:
            optimizer.zero_grad()
        body(step)
        for optimizer in optimizers:
            optimizer.step()


@pytest.fixture(scope="module")
def detached():
    """`first` is detached half way; the norms of every 50th pass are measured."""
    torch.manual_seed(0)
    first, second = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    optimizer = torch.optim.SGD([*first.parameters(), *second.parameters()], lr=1e-3)

    def body(step):
        code = first(torch.ones(1, 2))
        second(code if step < STEPS // 2 else code.detach()).sum().backward()

    with gradscope.watch(first=first, second=second, every=50, budget=None) as scope:
        train(scope, body, optimizer)
        return scope.report()


def test_every_norm_that_was_measured_is_kept(detached):
    measured = [event.index for event in detached.run.passes if is_measured(event.norms)]

    assert measured == list(range(0, STEPS, 50))
    assert detached.run.arrivals.measured == len(measured)


def test_it_is_known_when_the_last_gradient_came(detached):
    run = detached.run
    first, second = (model.parameters for model in run.models)
    arrivals = run.arrivals
    counts = {uid: arrivals.counts[arrivals.rows[uid]] for uid in (*first, *second)}
    stretch = STEPS // 2 // arrivals.width

    assert arrivals.passes == STEPS
    assert all(sum(counts[uid]) == run.tallies[uid].backwards for uid in counts)
    assert all(not any(counts[uid][stretch + 1 :]) for uid in first)
    assert all(set(counts[uid][:-1]) == {arrivals.width} for uid in second)


def test_flow_tells_that_a_line_reaches_a_model_no_more(detached):
    (row,) = detached.flow

    assert row.idle == {"first": STEPS // 2}
    assert "(last 1,000: none)" in str(detached)
    assert "norms measured at 40 of 2,000 passes" in str(detached)


def test_passes_of_each_line_are_kept_for_the_whole_run():
    """Two lines alternate and are measured at passes side by side."""
    torch.manual_seed(0)
    actor, critic = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    optimizers = [torch.optim.SGD(model.parameters(), lr=1e-3) for model in (actor, critic)]

    def body(_):
        actor(torch.ones(1, 2)).sum().backward()
        critic(torch.ones(1, 2)).sum().backward()

    with gradscope.watch(actor=actor, critic=critic, every=3, budget=None) as scope:
        train(scope, body, *optimizers)
        run = scope.report().run
    for model in run.models:
        mine = set(model.parameters)
        kept = [e.index for e in run.passes if is_measured(e.norms) and mine & e.norms.keys()]
        assert len(kept) > 100
        assert max(b - a for a, b in itertools.pairwise([0, *kept, run.backwards])) < 100


def test_the_run_file_knows_it_too_also_before_it_is_finished(tmp_path):
    path = tmp_path / "run.gradscope"
    model, other = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    optimizer = torch.optim.SGD([*model.parameters(), *other.parameters()], lr=1e-3)

    def body(step):
        loss = model(torch.ones(1, 2)).sum()
        (loss if step < STEPS // 2 else other(torch.ones(1, 2)).sum()).backward()

    with gradscope.watch(model=model, other=other, every=50, budget=None, to=path) as scope:
        train(scope, body, optimizer)
        going_on = read_run(path)
    finished = read_run(path)
    report = scope.report()

    assert finished.arrivals == report.run.arrivals
    assert finished.lines == report.run.lines
    assert known_words(finished) == known_words(report.run)
    assert going_on.arrivals.passes == going_on.backwards > STEPS // 2


def test_what_is_seldom_is_not_lost_to_what_is_usual():
    samples = Samples(lambda _: 1, 40, 10**9)
    for number in range(10_000):
        samples.add("usual", number, "usual")
        if number % 1000 == 1:
            samples.add("rare", number, "rare")
    kept = [event for _, event in samples.kept]

    assert kept.count("rare") == 10
    assert 10 <= kept.count("usual") <= 20


def test_many_kinds_share_one_sample():
    samples = Samples(lambda _: 1, 40, 10**9)
    for number in range(10_000):
        samples.add(number % 100, number, "event")

    assert 20 <= len(samples.kept) <= 40


def test_what_the_user_and_what_the_budget_ask_for_are_not_multiplied():
    budget = Budget(0.01)
    meter, path = Meter(100, budget), ()
    measured = [number for number in range(1000) if meter.due(path)]
    assert measured == list(range(0, 1000, 100))

    budget.thinning = 251
    again = [number for number in range(1000, 2000) if meter.due(path)]
    assert again == [1004, 1255, 1506, 1757]


def test_the_note_says_the_stride_that_there_is():
    budget = Budget(0.01)
    for thinning, words in ((251, "every 251st pass"), (3, "every 3rd pass"), (13, "every 13th pass")):
        budget.thinning = thinning
        assert words in budget.note()
    budget.thinning = 61
    assert budget.note(every=100) == ""


def test_no_optimizer_is_always_looked_at_after_the_budget_is_used_up(monkeypatch):
    now = {"step": 0, "rests": 0}
    monkeypatch.setattr(Budget, "rested", property(lambda _: now["step"] >= now["rests"]))
    monkeypatch.setattr(Budget, "sampled", lambda *_: now.update(rests=now["step"] + 20))
    models = {name: torch.nn.Linear(2, 2) for name in ("actor", "critic")}
    optimizers = [torch.optim.SGD(model.parameters(), lr=1e-3) for model in models.values()]

    def body(step):
        now["step"] = step
        sum(model(torch.ones(1, 2)).sum() for model in models.values()).backward()

    with gradscope.watch(**models) as scope:
        train(scope, body, *optimizers)
        updates = scope.report().run.updates
    counts = [sum(event.optimizer == number for event in updates) for number in (0, 1)]

    assert min(counts) > 20
