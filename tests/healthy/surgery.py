"""Correct loops that work on gradients themselves: reverse, project, perturb, write by hand."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as fn

from tests.healthy.parts import Watch, batch, mlp, update


class _Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: torch.Tensor, strength: float) -> torch.Tensor:  # type: ignore[no-untyped-def]
        ctx.strength = strength
        return x.view_as(x)

    @staticmethod
    def backward(ctx, grad: torch.Tensor) -> tuple[torch.Tensor, None]:  # type: ignore[no-untyped-def]
        return -ctx.strength * grad, None


def domain_adversarial_with_annealed_reversal(watch: Watch) -> list[float]:
    body, label, domain = mlp(6, 32, 16), nn.Linear(16, 3), nn.Linear(16, 2)
    watch(body=body, label=label, domain=domain)
    optimizer = torch.optim.Adam([*body.parameters(), *label.parameters(), *domain.parameters()], lr=1e-3)
    losses = []
    for step in range(8):
        x, y = batch()
        source, target = body(x), body(torch.randn(16, 6) + 1)
        strength = 2 / (1 + 2.718 ** (-10 * step / 8)) - 1
        both = _Reverse.apply(torch.cat([source, target]), strength)
        where = torch.arange(2).repeat_interleave(16)
        losses.append(update(optimizer, fn.cross_entropy(label(source), y) + fn.cross_entropy(domain(both), where)))
    return losses


def domain_confusion_by_a_hook(watch: Watch) -> list[float]:
    body, label, domain = mlp(6, 32, 16), nn.Linear(16, 3), nn.Linear(16, 2)
    watch(body=body, label=label, domain=domain)
    optimizer = torch.optim.Adam([*body.parameters(), *label.parameters(), *domain.parameters()], lr=1e-3)
    losses = []
    for _ in range(8):
        x, y = batch()
        feature = body(x)
        copied = feature.clone()
        copied.register_hook(lambda grad: -0.3 * grad)
        loss = fn.cross_entropy(label(feature), y) + fn.cross_entropy(domain(copied), (x[:, 5] > 0).long())
        losses.append(update(optimizer, loss))
    return losses


def gradient_surgery_written_by_hand(watch: Watch) -> list[float]:
    body, heads = mlp(6, 16, 16), nn.ModuleList(nn.Linear(16, 2) for _ in range(2))
    watch(body=body, heads=heads)
    everyone = [*body.parameters(), *heads.parameters()]
    optimizer = torch.optim.Adam(everyone, lr=1e-3)
    losses = []
    for _ in range(8):
        x = torch.randn(16, 6)
        hidden = body(x)
        tasks = [fn.cross_entropy(head(hidden), (x[:, i] > 0).long()) for i, head in enumerate(heads)]
        shared = [torch.autograd.grad(t, list(body.parameters()), retain_graph=True) for t in tasks]
        flat = [torch.cat([g.flatten() for g in grads]) for grads in shared]
        dot = flat[0] @ flat[1]
        if dot < 0:
            flat = [flat[0] - dot / flat[1].norm() ** 2 * flat[1], flat[1] - dot / flat[0].norm() ** 2 * flat[0]]
        total, at = flat[0] + flat[1], 0
        optimizer.zero_grad()
        for p in body.parameters():
            p.grad = total[at : at + p.numel()].view_as(p).clone()
            at += p.numel()
        for head, task in zip(heads, tasks, strict=True):
            for p, g in zip(head.parameters(), torch.autograd.grad(task, list(head.parameters())), strict=True):
                p.grad = g
        optimizer.step()
        losses.append(sum(tasks).item())
    return losses


def gradient_surgery_by_several_backwards(watch: Watch) -> list[float]:
    body, heads = mlp(6, 16, 16), nn.ModuleList(nn.Linear(16, 2) for _ in range(2))
    watch(body=body, heads=heads)
    everyone = [*body.parameters(), *heads.parameters()]
    optimizer = torch.optim.SGD(everyone, lr=0.05)
    losses = []
    for _ in range(8):
        x = torch.randn(16, 6)
        hidden, kept = body(x), []
        tasks = [fn.cross_entropy(head(hidden), (x[:, i] > 0).long()) for i, head in enumerate(heads)]
        for task in tasks:
            optimizer.zero_grad(set_to_none=True)
            task.backward(retain_graph=True)
            kept.append([p.grad.clone() if p.grad is not None else torch.zeros_like(p) for p in everyone])
        optimizer.zero_grad()
        for p, one, two in zip(everyone, *kept, strict=True):
            dot = (one * two).sum()
            p.grad = one + two if dot >= 0 else one + two - dot / (two.norm() ** 2 + 1e-12) * two
        optimizer.step()
        losses.append(sum(tasks).item())
    return losses


def adversarial_training_by_projected_gradient(watch: Watch) -> list[float]:
    model = mlp(6, 32, 3)
    watch(model=model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    losses = []
    for _ in range(7):
        x, y = batch()
        model.eval()
        nudge = torch.zeros_like(x).uniform_(-0.1, 0.1).requires_grad_()
        for _ in range(3):
            fn.cross_entropy(model(x + nudge), y).backward()
            with torch.no_grad():
                nudge += 0.05 * nudge.grad.sign()
                nudge.clamp_(-0.1, 0.1)
            nudge.grad.zero_()
        model.train()
        losses.append(update(optimizer, fn.cross_entropy(model((x + nudge).detach()), y)))
    return losses


def free_adversarial_training(watch: Watch) -> list[float]:
    model = mlp(6, 32, 3)
    watch(model=model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    losses, nudge = [], torch.zeros(16, 6)
    for _ in range(3):
        x, y = batch()
        for _ in range(3):
            noise = nudge.clone().requires_grad_(True)
            loss = fn.cross_entropy(model(x + noise), y)
            optimizer.zero_grad()
            loss.backward()
            nudge = (nudge + 0.05 * noise.grad.sign()).clamp(-0.1, 0.1)
            optimizer.step()
            losses.append(loss.item())
    return losses


def virtual_adversarial_training(watch: Watch) -> list[float]:
    model = mlp(6, 32, 3)
    watch(model=model)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    losses = []
    for _ in range(8):
        x, y = batch()
        with torch.no_grad():
            before = fn.softmax(model(x), -1)
        d = fn.normalize(torch.randn_like(x), dim=1).requires_grad_()
        apart = fn.kl_div(fn.log_softmax(model(x + 1e-1 * d), -1), before, reduction="batchmean")
        d = fn.normalize(torch.autograd.grad(apart, d)[0], dim=1)
        smooth = fn.kl_div(fn.log_softmax(model(x + d), -1), before, reduction="batchmean")
        losses.append(update(optimizer, fn.cross_entropy(model(x), y) + smooth))
    return losses


def embeddings_perturbed_by_their_gradient(watch: Watch) -> list[float]:
    class Reader(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.word_embeddings = nn.Embedding(50, 12, padding_idx=0)
            self.out = mlp(12, 16, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.out(self.word_embeddings(x).mean(1))

    model = Reader()
    watch(model=model)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    losses = []
    for _ in range(8):
        x, y = torch.randint(1, 50, (16, 5)), torch.randint(0, 3, (16,))
        optimizer.zero_grad()
        loss = fn.cross_entropy(model(x), y)
        loss.backward()
        weight = model.word_embeddings.weight
        backup = weight.data.clone()
        weight.data.add_(0.1 * weight.grad / (weight.grad.norm() + 1e-8))
        fn.cross_entropy(model(x), y).backward()
        weight.data = backup
        optimizer.step()
        losses.append(loss.item())
    return losses


def sharpness_aware_as_one_optimizer(watch: Watch) -> list[float]:
    class Sam(torch.optim.Optimizer):
        def __init__(self, params, base: type[torch.optim.Optimizer], rho: float = 0.05, **options: float) -> None:  # type: ignore[no-untyped-def]
            super().__init__(params, {"rho": rho, **options})
            self.base = base(self.param_groups, **options)
            self.param_groups = self.base.param_groups

        @torch.no_grad()
        def first_step(self) -> None:
            held = [p for g in self.param_groups for p in g["params"] if p.grad is not None]
            norm = torch.stack([p.grad.norm() for p in held]).norm()
            for p in held:
                self.state[p]["away"] = p.grad * 0.05 / (norm + 1e-12)
                p.add_(self.state[p]["away"])
            self.zero_grad()

        @torch.no_grad()
        def second_step(self) -> None:
            for p in self.state:
                p.sub_(self.state[p]["away"])
            self.base.step()
            self.zero_grad()

        def step(self, closure=None) -> None:  # type: ignore[no-untyped-def]
            self.second_step()

    model = mlp(6, 32, 3)
    watch(model=model)
    optimizer = Sam(model.parameters(), torch.optim.SGD, lr=0.1)
    losses = []
    for _ in range(8):
        x, y = batch()
        loss = fn.cross_entropy(model(x), y)
        loss.backward()
        optimizer.first_step()
        fn.cross_entropy(model(x), y).backward()
        optimizer.second_step()
        losses.append(loss.item())
    return losses


def gradients_averaged_over_workers_by_hand(watch: Watch) -> list[float]:
    model = mlp(6, 16, 3)
    watch(model=model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    losses = []
    for _ in range(8):
        received, loss = [], torch.zeros(())
        for _ in range(3):
            x, y = batch()
            loss = fn.cross_entropy(model(x), y)
            received.append(torch.autograd.grad(loss, list(model.parameters())))
        for p, grads in zip(model.parameters(), zip(*received, strict=True), strict=True):
            p.grad = torch.stack(grads).mean(0)
        optimizer.step()
        losses.append(loss.item())
    return losses


def noisy_clipped_gradients_for_privacy(watch: Watch) -> list[float]:
    model = mlp(6, 16, 3)
    watch(model=model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    losses = []
    for _ in range(6):
        x, y = batch()
        total = [torch.zeros_like(p) for p in model.parameters()]
        loss = torch.zeros(())
        for one, label in zip(x[:4], y[:4], strict=True):
            model.zero_grad()
            loss = fn.cross_entropy(model(one[None]), label[None])
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
            for t, p in zip(total, model.parameters(), strict=True):
                t.add_(p.grad)
        for t, p in zip(total, model.parameters(), strict=True):
            p.grad = (t + 0.01 * torch.randn_like(t)) / 4
        optimizer.step()
        losses.append(loss.item())
    return losses


def gradient_centralised_by_parameter_hooks(watch: Watch) -> list[float]:
    model = mlp(6, 16, 3)
    for p in model.parameters():
        if p.ndim > 1:
            p.register_hook(lambda grad: grad - grad.mean(1, keepdim=True))
    watch(model=model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    losses = []
    for _ in range(8):
        x, y = batch()
        losses.append(update(optimizer, fn.cross_entropy(model(x), y)))
    return losses
