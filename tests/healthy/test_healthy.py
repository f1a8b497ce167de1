"""Correct training loops get silence, traced or only watched, and compute the same with gradscope as without."""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch

import gradscope
from gradscope.report import Report
from gradscope.scope import Scope
from gradscope.session import Session
from tests.healthy import (
    architectures,
    bookkeeping,
    byhand,
    control,
    dynamics,
    generative,
    meta,
    optimisation,
    phases,
    reinforcement,
    representation,
    scales,
    surgery,
    tuning,
    views,
)

MODULES = (
    architectures,
    bookkeeping,
    byhand,
    control,
    dynamics,
    generative,
    meta,
    optimisation,
    phases,
    reinforcement,
    representation,
    scales,
    surgery,
    tuning,
    views,
)  # fmt: skip
Loop = Callable[[Callable[..., object]], list[float]]


def _loops() -> Iterator[tuple[str, Loop]]:
    for module in MODULES:
        for name, value in vars(module).items():
            if inspect.isfunction(value) and value.__module__ == module.__name__ and not name.startswith("_"):
                yield name, value


LOOPS = dict(_loops())


def _run(loop: Loop, watch: Callable[..., object]) -> list[float]:
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    return loop(watch)


def _nobody(**models: object) -> None:
    """The loop without gradscope."""


def _loud(report: Report) -> list[str]:
    return [f"{f.severity} {f.code} {f.cause}: {f.message}" for f in report.findings if f.severity != "info"]


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad=True to a scalar")  # as user code does
@pytest.mark.parametrize("name", LOOPS)
def test_a_correct_loop_gets_silence(name: str) -> None:
    plain = _run(LOOPS[name], _nobody)
    with Session() as session:
        traced = _run(LOOPS[name], _nobody)
    assert _loud(session.report()) == []
    assert traced == plain
    scopes: list[Scope] = []
    watched = _run(LOOPS[name], lambda **models: scopes.append(gradscope.watch(**models)))
    for scope in scopes:
        assert _loud(scope.report()) == []
        scope.close()
    assert watched == plain


def test_there_are_many_loops() -> None:
    assert len(LOOPS) >= 150
