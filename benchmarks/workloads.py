"""The training steps that benchmarks/overhead.py measures on, all on random numbers that are made beforehand.

A step calls `after_backward` behind every backward pass and `before_step` in front of every optimizer step: there the
baselines look at the gradients.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

Look = Callable[[], None]


@dataclass(frozen=True)
class Training:
    """Models and one turn of their loop."""

    models: dict[str, nn.Module]
    inputs: dict[str, torch.Tensor]
    """What each model is called with."""
    step: Callable[[Look, Look], None]

    def parameters(self) -> list[torch.Tensor]:
        return [p for model in self.models.values() for p in model.parameters()]


def _ordinary(model: nn.Module, batch: torch.Tensor, optimizer: torch.optim.Optimizer, *, passes: int = 1) -> Training:
    def step(after_backward: Look, before_step: Look) -> None:
        optimizer.zero_grad()
        for _ in range(passes):
            (model(batch).square().mean() / passes).backward()
            after_backward()
        before_step()
        optimizer.step()

    return Training({"model": model}, {"model": batch}, step)


def linears() -> Training:
    """20 layers of 256, batches of 64."""
    model = nn.Sequential(*(layer for _ in range(20) for layer in (nn.Linear(256, 256), nn.ReLU())))
    return _ordinary(model, torch.randn(64, 256), torch.optim.SGD(model.parameters(), 1e-3))


def convolutions() -> Training:
    """Six convolutions with batch norm on 32 x 32 pictures, batches of 16."""
    widths = [3, 32, 32, 64, 64, 128, 128]
    parts: list[nn.Module] = []
    for number, (before, after) in enumerate(itertools.pairwise(widths)):
        parts += [nn.Conv2d(before, after, 3, 1 + number % 2, 1), nn.BatchNorm2d(after), nn.ReLU()]
    model = nn.Sequential(*parts, nn.Flatten(), nn.Linear(128 * 16, 10))
    return _ordinary(model, torch.randn(16, 3, 32, 32), torch.optim.SGD(model.parameters(), 1e-3, momentum=0.9))


class _Transformer(nn.Module):
    def __init__(self, layers: int, width: int, words: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(words, width)
        layer = nn.TransformerEncoderLayer(width, width // 64, 4 * width, batch_first=True, norm_first=True)
        self.blocks = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.head = nn.Linear(width, words)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        answer: torch.Tensor = self.head(self.blocks(self.embed(tokens)))
        return answer


def transformer(layers: int, width: int, words: int, length: int) -> Training:
    """A transformer with AdamW, batches of 4."""
    model = _Transformer(layers, width, words)
    batch = torch.randint(words, (4, length))
    return _ordinary(model, batch, torch.optim.AdamW(model.parameters(), 1e-4))


class _Tiny(nn.Module):
    def __init__(self, count: int) -> None:
        super().__init__()
        self.weights = nn.ParameterList(torch.randn(64) for _ in range(count))

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return torch.stack([weight * batch for weight in self.weights])


def tiny(count: int, kind: type[torch.optim.Optimizer]) -> Training:
    """Many parameters of 64 numbers, each used by one multiplication: nothing but overhead."""
    model = _Tiny(count)
    return _ordinary(model, torch.randn(64), kind(model.parameters(), lr=1e-3))  # type: ignore[call-arg]


def gan() -> Training:
    """Two models, two optimizers, two backward passes of which the second reaches both."""
    generator = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 784))
    critic = nn.Sequential(nn.Linear(784, 256), nn.LeakyReLU(), nn.Linear(256, 256), nn.LeakyReLU(), nn.Linear(256, 1))
    first = torch.optim.Adam(critic.parameters(), 2e-4)
    second = torch.optim.Adam(generator.parameters(), 2e-4)
    real, noise = torch.randn(64, 784), torch.randn(64, 64)

    def step(after_backward: Look, before_step: Look) -> None:
        first.zero_grad()
        made = generator(noise)
        (nn.functional.softplus(critic(made.detach())) + nn.functional.softplus(-critic(real))).mean().backward()
        after_backward()
        before_step()
        first.step()
        second.zero_grad()
        nn.functional.softplus(-critic(made)).mean().backward()
        after_backward()
        before_step()
        second.step()

    return Training({"generator": generator, "critic": critic}, {"generator": noise, "critic": real}, step)


def accumulation() -> Training:
    """Eight backward passes per optimizer step, on 20 layers of 256."""
    model = nn.Sequential(*(layer for _ in range(20) for layer in (nn.Linear(256, 256), nn.ReLU())))
    return _ordinary(model, torch.randn(16, 256), torch.optim.SGD(model.parameters(), 1e-3), passes=8)


@dataclass(frozen=True)
class Workload:
    """One row of benchmarks: a name for the table, and how to build it."""

    key: str
    title: str
    build: Callable[[], Training]
    steps: int = 0
    """Steps in a turn, at least: where thousands of tensors are made, full garbage collections are a part of each."""
    slow: bool = False
    """Only measured when asked for by name."""


WORKLOADS = (
    Workload("linear", "20 x Linear(256), SGD", linears),
    Workload("conv", "6 convolutions, SGD", convolutions),
    Workload("transformer", "transformer, 10 M, AdamW", functools.partial(transformer, 6, 256, 10_000, 32)),
    Workload("gan", "GAN: two models, Adam", gan),
    Workload("accumulation", "20 x Linear(256), accumulation of 8", accumulation),
    Workload("tiny", "3,000 parameters of 64, SGD", functools.partial(tiny, 3_000, torch.optim.SGD), 60),
    Workload("tiny-adamw", "3,000 parameters of 64, AdamW", functools.partial(tiny, 3_000, torch.optim.AdamW), 60),
    Workload("tiny-many", "20,000 parameters of 64, SGD", functools.partial(tiny, 20_000, torch.optim.SGD), 20),
    Workload("large", "transformer, 85 M, AdamW", functools.partial(transformer, 12, 768, 50, 64), slow=True),
)
