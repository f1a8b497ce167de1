"""Watching and tracing change nothing: output, weights, gradients and random numbers are bit for bit the same."""

from __future__ import annotations

import contextlib
import io
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook

import gradscope
from gradscope.session import Session

CASES = Path(__file__).parents[1] / "cases"
SCRIPTS = sorted(path.parent.name for path in CASES.glob("*/train.py"))[::9]
assert len(SCRIPTS) >= 20


def tensors(  # noqa: C901 - one branch per kind
    value: Any, depth: int = 3, seen: set[int] | None = None
) -> Iterator[torch.Tensor]:
    """All tensors that a namespace leads to, in a fixed order, each followed by its gradient."""
    seen = set() if seen is None else seen
    if id(value) in seen or depth < 0:
        return
    seen.add(id(value))
    if isinstance(value, torch.Tensor):
        yield value.detach()
        if value.is_leaf and value.grad is not None:
            yield value.grad.detach()
    elif isinstance(value, nn.Module):
        for tensor in (*value.parameters(), *value.buffers()):
            yield from tensors(tensor, depth, seen)
    elif isinstance(value, torch.optim.Optimizer):
        for state in value.state.values():
            yield from tensors(state, depth, seen)
    elif isinstance(value, dict):
        for key, item in value.items():
            if not str(key).startswith("__"):
                yield from tensors(item, depth - 1, seen)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from tensors(item, depth - 1, seen)
    elif type(value).__module__ == "__main__":
        yield from tensors(vars(value) if hasattr(value, "__dict__") else None, depth - 1, seen)


def run(script: Path) -> dict[str, Any]:
    """Run a script in this process; returns its namespace, output and the state of all random numbers."""
    torch.manual_seed(5)
    random.seed(5)
    numpy.random.seed(5)
    torch.set_grad_enabled(True)  # one of the scripts leaves it off
    out = io.StringIO()
    made: list[torch.Tensor] = []
    handle = register_module_parameter_registration_hook(lambda module, name, parameter: made.append(parameter))
    namespace: dict[str, Any] = {"__name__": "__main__", "__file__": str(script)}
    with contextlib.redirect_stdout(out):
        try:
            exec(compile(script.read_text(encoding="utf-8"), str(script), "exec"), namespace)
            error = ""
        except Exception as failure:  # noqa: BLE001 - some of these scripts end with one
            error = repr(failure)
        finally:
            handle.remove()
    found = [tensor.clone() for tensor in tensors([namespace, made])]
    return {
        "error": error,
        "output": out.getvalue(),
        "tensors": found,
        "torch": torch.get_rng_state(),
        "python": random.getstate(),
        "numpy": numpy.random.get_state()[1].tolist(),
        "grad": torch.is_grad_enabled(),
    }


def same(a: dict[str, Any], b: dict[str, Any]) -> None:
    assert a["error"] == b["error"]
    assert a["output"] == b["output"]
    assert len(a["tensors"]) == len(b["tensors"]) > 0
    for left, right in zip(a["tensors"], b["tensors"], strict=True):
        assert left.dtype == right.dtype
        assert left.shape == right.shape
        if left.layout is torch.strided:
            assert torch.equal(bits(left), bits(right))
    assert torch.equal(a["torch"], b["torch"])
    assert [a[k] for k in ("python", "numpy", "grad")] == [b[k] for k in ("python", "numpy", "grad")]


def bits(tensor: torch.Tensor) -> torch.Tensor:
    """The bytes of a tensor: NaN is equal to itself, and 0.0 is not -0.0."""
    if not tensor.numel():
        return tensor.new_zeros(0, dtype=torch.uint8)
    return tensor.reshape(-1).clone(memory_format=torch.contiguous_format).view(torch.uint8)


@pytest.fixture
def as_a_script(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    folder = CASES / request.param
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    before = set(sys.modules)
    yield folder / "train.py"
    torch.set_grad_enabled(True)
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(CASES)):
            del sys.modules[name]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("as_a_script", SCRIPTS, indirect=True)
def test_a_script_runs_the_same_traced(as_a_script):
    plain = run(as_a_script)
    with Session():
        traced = run(as_a_script)
    same(plain, traced)
    with Session(trace=False):
        watched = run(as_a_script)
    same(plain, watched)


@pytest.mark.parametrize("how", ["bare", "steps", "traced"])
def test_a_watched_loop_runs_the_same(how):
    def loop(watching: bool) -> list[torch.Tensor]:
        torch.manual_seed(3)
        model = nn.Sequential(nn.Linear(6, 6), nn.Dropout(0.3), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 1))
        other = nn.Linear(6, 6)
        optimizer = torch.optim.AdamW([*model.parameters(), *other.parameters()], lr=1e-2, weight_decay=0.1)
        scope = gradscope.watch(model=model, other=other) if watching else None
        losses = []
        if scope is not None and how == "traced":
            scope._capture.start_tracing()
        for x in scope.steps(range(8)) if scope is not None and how == "steps" else range(8):
            optimizer.zero_grad()
            loss = model(other(torch.randn(5, 6)).detach()).pow(2).mean() + x
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        if scope is not None:
            assert scope.report().run.traced == {"bare": 0, "steps": 1, "traced": 8}[how]
            scope.close()
        return [*losses, *model.state_dict().values(), *other.parameters(), torch.get_rng_state()]

    for plain, watched in zip(loop(False), loop(True), strict=True):
        assert torch.equal(plain, watched)
