"""Reports with facts for figures, made by hand, without torch and without chance."""

from __future__ import annotations

import math

from gradscope.records import (
    Backward,
    Group,
    Histogram,
    Location,
    Model,
    Optimizer,
    OptimizerStep,
    Owner,
    Parameter,
    Run,
    Tally,
)
from gradscope.report import Report

LOSS_LINE = Location("train.py", 50, "main", "loss.backward()")
OTHER_LINE = Location("train.py", 57, "main", "critic_loss.backward()")


def _norm(uid: int, time: int) -> float:
    return 10 ** (-3 + 2 * math.sin(uid * 0.7) + 0.3 * math.sin(time + uid))


def _histogram(uid: int, step: int, broken: bool) -> Histogram:
    bell = tuple(round(3000 * math.exp(-(((i - 9) / 3.5) ** 2))) for i in range(18))
    low = -16 + uid % 4
    return Histogram(uid, step, low, bell, (*bell[1:], 0), zeros=40 * uid, nan=12 * broken, inf=3 * broken)


def _models(names: tuple[str, ...], each: int) -> tuple[list[Model], dict[int, Parameter]]:
    models: list[Model] = []
    parameters: dict[int, Parameter] = {}
    for m, name in enumerate(names):
        uids = tuple(range(m * each, (m + 1) * each))
        models.append(Model(name, name.title(), uids))
        for i, uid in enumerate(uids):
            fqn = f"layers.{i // 2}.{'bias' if i % 2 else 'weight'}"
            parameters[uid] = Parameter(uid, (8, 8), "float32", "cpu", True, (Owner(name, fqn),), "Linear")
    return models, parameters


def report_for_figures(
    names: tuple[str, ...] = ("encoder", "decoder", "critic"),
    each: int = 4,
    steps: int = 12,
    dead: tuple[str, ...] = ("encoder",),
    strange: bool = True,
) -> Report:
    """`dead` models get nothing; the last one alternates and, if `strange`, holds a zero and a NaN."""
    models, parameters = _models(names, each)
    live = [m for m in models if m.name not in dead]
    events: list[Backward | OptimizerStep] = []
    for t in range(steps):
        shares = [m for m in live if m is not models[-1]] if t % 3 else live
        norms: dict[int, float | None] = {u: _norm(u, t) for m in shares for u in m.parameters}
        if strange and not t % 3:
            norms[models[-1].parameters[0]] = 0.0
        if strange and t == 6:
            norms[models[-1].parameters[-1]] = math.nan
        line = LOSS_LINE if t % 3 else OTHER_LINE
        events.append(Backward(2 * t, t, t, (line,), norms))
        ratios = {u: 1e-3 * 10 ** math.sin(u + t / 3) for u in norms}
        events.append(OptimizerStep(2 * t + 1, t, t, 0, (), norms, ratios=ratios))
    lives = {u for m in live for u in m.parameters}
    tallies = {u: Tally(backwards=steps if u in lives else 0, measured=steps, steps=steps) for u in parameters}
    last = models[-1].name
    histograms = tuple(
        _histogram(u, s, strange and m.name == last) for s in (0, steps - 1) for m in live for u in m.parameters
    )
    return Report(
        Run(
            steps=steps,
            backwards=steps,
            models=tuple(models),
            parameters=parameters,
            optimizers=(Optimizer(0, "optimizer", "Adam", (Group(tuple(parameters), 1e-3),)),),
            events=tuple(events),
            tallies=tallies,
            histograms=histograms,
        )
    )
