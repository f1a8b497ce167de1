"""Generated records: every type of records.py, every field, values a careless encoder trips over."""

from __future__ import annotations

import random
import types
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, Union, get_args, get_origin, get_type_hints

import pytest

from gradscope.records import Backward, Event, Optimizer, OptimizerStep, Run
from gradscope.records.columns import Cohort, is_measured
from gradscope.tallies.arrivals import Spread

FLOATS = [0.0, -0.0, 1.0, 0.1, 5e-324, 1e-45, 3.4e38, 1.7e308, float("inf"), float("-inf"), 2.0**-140]
TEXTS = ["", "encoder", "décodeur", "层.权重", "a\x00b", 'quote " and \\', "\udcff", "\n", "x" * 300]
INTS = [0, 1, 2, 3, 7, 8, 9, 255, 65536, 2**31, 2**53 + 1]


class Generator:
    """Random values of any annotated type."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def value(self, hint: Any) -> Any:
        simple: dict[Any, Callable[[], Any]] = {
            bool: lambda: self.random.random() < 0.5,
            int: lambda: self.random.choice(INTS),
            float: lambda: self.random.choice([*FLOATS, self.random.random()]),
            str: lambda: self.random.choice(TEXTS),
            type(None): lambda: None,
        }
        if hint in simple:
            return simple[hint]()
        origin, args = get_origin(hint), get_args(hint)
        if origin in (Union, types.UnionType):
            return self.value(self.random.choice(args))
        if origin is tuple and args[1:] == (Ellipsis,):
            return tuple(self.value(args[0]) for _ in range(self.random.randrange(4)))
        if origin is tuple:
            return tuple(map(self.value, args))
        if origin is frozenset:
            return frozenset(self.value(args[0]) for _ in range(self.random.randrange(6)))
        if isinstance(origin, type) and issubclass(origin, Mapping):
            return {self.value(args[0]): self.value(args[1]) for _ in range(self.random.randrange(6))}
        assert is_dataclass(hint), hint
        hints = get_type_hints(hint)
        return hint(**{f.name: self.value(hints[f.name]) for f in fields(hint)})

    def run(self, steps: int = 6) -> Run:
        run: Run = self.value(Run)
        events = [self.value(Event) for _ in range(3 * steps)]
        ordered = tuple(
            replace(event, step=number // 3, clock=number, **({"index": number} if hasattr(event, "index") else {}))
            for number, event in enumerate(events)
        )
        run = replace(run, events=ordered, between=(), steps=steps, backwards=len(ordered))
        return consistent(run)


def consistent(run: Run) -> Run:
    """The same with parameters and optimizers for all that is named, as in a real run."""
    example = Generator(0).value(get_args(get_type_hints(Run)["parameters"])[1])
    known = {uid: replace(run.parameters.get(uid, example), uid=uid) for uid in INTS}
    known = {uid: p if p.numel < 2**63 else replace(p, shape=(2, 3)) for uid, p in known.items()}
    optimizers = tuple(
        replace(optimizer, uid=place)
        for place, optimizer in enumerate(run.optimizers or (Generator(0).value(Optimizer),))
    )
    events = tuple(replace(e, optimizer=0) if isinstance(e, OptimizerStep) else e for e in run.events)
    histograms = tuple(replace(h, low=h.low % 100) for h in run.histograms)
    spread = Spread()
    for event in events:
        if isinstance(event, Backward):
            spread.add(Cohort(event.norms), measured=is_measured(event.norms))
    facts = {"parameters": known, "optimizers": optimizers, "events": events, "histograms": histograms}
    return replace(run, arrivals=spread.freeze(), **facts)


@pytest.fixture
def generate() -> Callable[[int], Run]:
    return lambda seed: Generator(seed).run()


@pytest.fixture
def training() -> Callable[..., Run]:
    """A small plausible run: two models, one of which gets nothing."""
    return plausible


def plausible(steps: int = 8, width: int = 6, scale: float = 1.0) -> Run:
    from gradscope.records import Backward, Clear, Group, Location, Model, Optimizer, OptimizerStep, Owner, Parameter
    from gradscope.tallies import Recount

    path = (Location("train.py", 10, "main", "step()"), Location("train.py", 50, "step", "loss.backward()"))
    names = ["encoder", "decoder"]
    models = tuple(Model(n, n.title(), tuple(range(i * width, (i + 1) * width))) for i, n in enumerate(names))
    parameters = {
        u: Parameter(u, (4, 4), "float32", "cpu", True, (Owner(m.name, f"{u % width}.weight"),), "Linear")
        for m in models
        for u in m.parameters
    }
    optimizer = Optimizer(0, "optimizer", "Adam", (Group(tuple(parameters), 1e-3),), path, steps=steps)
    got = models[1].parameters
    events: list[Event] = []
    for step in range(steps):
        norms = {u: scale * (u + 1) / (step + 1) for u in got}
        events += [
            Clear(3 * step, step, frozenset(got), path),
            Backward(3 * step + 1, step, step, path, norms),
            OptimizerStep(3 * step + 2, step, step, 0, path, norms, (1e-3,), dict.fromkeys(got, 1e-3)),
        ]
    recount = Recount({}, parameters, (optimizer,))
    recount.add(events)
    return Run(
        "2.13.0",
        "1.0",
        "train.py",
        steps,
        steps,
        models,
        parameters,
        (optimizer,),
        tuple(events),
        recount.tallies(),
        lines=recount.lines(),
    )
