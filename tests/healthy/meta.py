"""Correct loops in which something is learned about learning, or an implicit gradient is taken."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional as fn

from tests.healthy.parts import Watch, mlp


def _task() -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.rand(20, 1) * 6 - 3
    return x, torch.sin(x + torch.rand(1) * 3)


def maml_second_order(watch: Watch) -> list[float]:
    model = mlp(1, 20, 1)
    watch(model=model)
    outer = torch.optim.Adam(model.parameters(), lr=1e-3)
    losses = []
    for _ in range(6):
        total = torch.zeros(())
        for _ in range(3):
            x, y = _task()
            fast = dict(model.named_parameters())
            for _ in range(2):
                inner = fn.mse_loss(functional_call(model, fast, (x[:10],)), y[:10])
                grads = torch.autograd.grad(inner, list(fast.values()), create_graph=True)
                fast = {name: p - 0.01 * g for (name, p), g in zip(fast.items(), grads, strict=True)}
            total = total + fn.mse_loss(functional_call(model, fast, (x[10:],)), y[10:])
        outer.zero_grad()
        total.backward()
        outer.step()
        losses.append(total.item())
    return losses


def maml_first_order(watch: Watch) -> list[float]:
    model = mlp(1, 20, 1)
    watch(model=model)
    outer = torch.optim.Adam(model.parameters(), lr=1e-3)
    losses = []
    for _ in range(6):
        outer.zero_grad()
        for _ in range(3):
            x, y = _task()
            learner = copy.deepcopy(model)
            inner = torch.optim.SGD(learner.parameters(), lr=0.01)
            for _ in range(2):
                inner.zero_grad()
                fn.mse_loss(learner(x[:10]), y[:10]).backward()
                inner.step()
            loss = fn.mse_loss(learner(x[10:]), y[10:])
            grads = torch.autograd.grad(loss, list(learner.parameters()))
            for p, g in zip(model.parameters(), grads, strict=True):
                p.grad = g / 3 if p.grad is None else p.grad + g / 3
        outer.step()
        losses.append(loss.item())
    return losses


def reptile(watch: Watch) -> list[float]:
    model = mlp(1, 20, 1)
    watch(model=model)
    losses = []
    for step in range(6):
        before = copy.deepcopy(model.state_dict())
        inner = torch.optim.SGD(model.parameters(), lr=0.02)
        x, y = _task()
        for _ in range(4):
            inner.zero_grad()
            loss = fn.mse_loss(model(x), y)
            loss.backward()
            inner.step()
        after = model.state_dict()
        rate = 0.1 * (1 - step / 6)
        model.load_state_dict({k: before[k] + rate * (after[k] - before[k]) for k in before})
        losses.append(loss.item())
    return losses


def learned_inner_learning_rate(watch: Watch) -> list[float]:
    model = mlp(1, 20, 1)
    rates = nn.ParameterDict(
        {n.replace(".", "_"): nn.Parameter(torch.full_like(p, 0.01)) for n, p in model.named_parameters()}
    )
    watch(model=model, rates=rates)
    outer = torch.optim.Adam([*model.parameters(), *rates.parameters()], lr=1e-3)
    losses = []
    for _ in range(6):
        x, y = _task()
        params = dict(model.named_parameters())
        grads = torch.autograd.grad(
            fn.mse_loss(functional_call(model, params, x[:10]), y[:10]), params.values(), create_graph=True
        )
        fast = {n: p - rates[n.replace(".", "_")] * g for (n, p), g in zip(params.items(), grads, strict=True)}
        loss = fn.mse_loss(functional_call(model, fast, x[10:]), y[10:])
        outer.zero_grad()
        loss.backward()
        outer.step()
        losses.append(loss.item())
    return losses


def hypernetwork(watch: Watch) -> list[float]:
    hyper, context = mlp(4, 16, 3 * 2 + 2), nn.Embedding(5, 4)
    watch(hyper=hyper, context=context)
    optimizer = torch.optim.Adam([*hyper.parameters(), *context.parameters()], lr=1e-3)
    losses = []
    for _ in range(8):
        optimizer.zero_grad()
        weights = hyper(context(torch.randint(0, 5, (1,)))).squeeze(0)
        out = fn.linear(torch.randn(16, 3), weights[:6].view(2, 3), weights[6:])
        loss = fn.mse_loss(out, torch.randn(16, 2))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def learned_loss_weights_by_hypergradient(watch: Watch) -> list[float]:
    model, weigher = mlp(4, 16, 2), mlp(4, 8, 1)
    watch(model=model, weigher=weigher)
    opt_model = torch.optim.SGD(model.parameters(), lr=0.1)
    opt_weigher = torch.optim.Adam(weigher.parameters(), lr=1e-2)
    losses = []
    for _ in range(8):
        x, y = torch.randn(32, 4), torch.randint(0, 2, (32,))
        params = dict(model.named_parameters())
        each = fn.cross_entropy(functional_call(model, params, x), y, reduction="none")
        inner = (torch.sigmoid(weigher(x)).squeeze(1) * each).mean()
        grads = torch.autograd.grad(inner, params.values(), create_graph=True)
        fast = {n: p - 0.1 * g for (n, p), g in zip(params.items(), grads, strict=True)}
        clean, target = torch.randn(16, 4), torch.randint(0, 2, (16,))
        opt_weigher.zero_grad()
        fn.cross_entropy(functional_call(model, fast, clean), target).backward()
        opt_weigher.step()
        with torch.no_grad():
            weight = torch.sigmoid(weigher(x)).squeeze(1)
        loss = (weight * fn.cross_entropy(model(x), y, reduction="none")).mean()
        opt_model.zero_grad()
        loss.backward()
        opt_model.step()
        losses.append(loss.item())
    return losses


class _FixedPoint(torch.autograd.Function):
    """Solves z = f(z) without a graph; the gradient comes by the implicit function theorem."""

    @staticmethod
    def forward(ctx: Any, matrix: torch.Tensor, drive: torch.Tensor) -> torch.Tensor:
        z = torch.zeros_like(drive)
        for _ in range(30):
            z = torch.tanh(z @ matrix.T + drive)
        ctx.save_for_backward(matrix, z)
        return z

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        matrix, z = ctx.saved_tensors
        slope = 1 - z**2
        v = grad
        for _ in range(30):
            v = grad + (v * slope) @ matrix
        v = v * slope
        return v.T @ z, v


class _Equilibrium(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(8, 8) * 0.05)
        self.inject, self.head = nn.Linear(4, 8), nn.Linear(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(_FixedPoint.apply(self.weight, self.inject(x)))


def deep_equilibrium_with_custom_function(watch: Watch) -> list[float]:
    model = _Equilibrium()
    watch(model=model)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    losses = []
    for _ in range(6):
        loss = fn.cross_entropy(model(torch.randn(16, 4)), torch.randint(0, 2, (16,)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def deep_equilibrium_with_hook(watch: Watch) -> list[float]:
    cell, inject, head = nn.Linear(8, 8), nn.Linear(4, 8), nn.Linear(8, 2)
    nn.init.normal_(cell.weight, std=0.05)
    watch(cell=cell, inject=inject, head=head)
    optimizer = torch.optim.Adam([*cell.parameters(), *inject.parameters(), *head.parameters()], lr=1e-3)
    losses = []
    for _ in range(6):
        drive = inject(torch.randn(16, 4))
        with torch.no_grad():
            z = torch.zeros(16, 8)
            for _ in range(20):
                z = torch.tanh(cell(z) + drive)
        z = torch.tanh(cell(z) + drive)
        start = z.clone().detach().requires_grad_()
        again = torch.tanh(cell(start) + drive)

        def backward_hook(grad: torch.Tensor, again: torch.Tensor = again, start: torch.Tensor = start) -> torch.Tensor:
            g = grad
            for _ in range(20):
                g = torch.autograd.grad(again, start, g, retain_graph=True)[0] + grad
            return g

        z.register_hook(backward_hook)
        loss = fn.cross_entropy(head(z), torch.randint(0, 2, (16,)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def neural_ode(watch: Watch) -> list[float]:
    field = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2))
    watch(field=field)
    optimizer = torch.optim.Adam(field.parameters(), lr=1e-2)
    losses = []
    for _ in range(6):
        y, h = torch.randn(16, 2), 0.1
        goal = y @ torch.tensor([[0.5, -0.8], [0.8, 0.5]])
        for _ in range(10):
            k1 = field(y)
            k2 = field(y + h / 2 * k1)
            k3 = field(y + h / 2 * k2)
            k4 = field(y + h * k3)
            y = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        loss = fn.mse_loss(y, goal)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses
