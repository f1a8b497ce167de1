"""Correct loops whose numbers look alarming: huge or tiny gradients that are tamed, weights kept on a bound."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional as fn

from tests.healthy.parts import Watch, batch, fit, mlp, update


def huge_gradients_clipped_for_adam(watch: Watch) -> list[float]:
    model = mlp(6, 32, 1)
    watch(model=model)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(8):
        x = torch.randn(16, 6)
        loss = (model(x)[:, 0] * 1e4 - 1e5 * x[:, 0]).pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return losses


def large_units_that_are_learned(watch: Watch) -> list[float]:
    model = nn.Linear(6, 1)
    watch(model=model)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    losses = []
    for _ in range(24):
        x = torch.randn(16, 6)
        losses.append(update(optimizer, (1e3 * model(x)[:, 0] - 1e3 * x[:, 0]).pow(2).sum()))
    return losses


def gradients_divided_by_their_norm(watch: Watch) -> list[float]:
    model = mlp(6, 32, 3)
    watch(model=model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    losses = []
    for _ in range(8):
        x, y = batch()
        loss = 1e6 * fn.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        total = torch.stack([p.grad.norm() for p in model.parameters()]).norm()
        for p in model.parameters():
            p.grad.div_(total + 1e-6)
        optimizer.step()
        losses.append(loss.item())
    return losses


def signs_of_gradients_with_momentum(watch: Watch) -> list[float]:
    class Lion(torch.optim.Optimizer):
        def __init__(self, params, lr: float) -> None:  # type: ignore[no-untyped-def]
            super().__init__(params, {"lr": lr})

        @torch.no_grad()
        def step(self, closure=None) -> None:  # type: ignore[no-untyped-def]
            for group in self.param_groups:
                for p in group["params"]:
                    if p.grad is None:
                        continue
                    state = self.state[p].setdefault("m", torch.zeros_like(p))
                    p.mul_(1 - group["lr"] * 0.1)
                    p.add_((0.9 * state + 0.1 * p.grad).sign_(), alpha=-group["lr"])
                    state.lerp_(p.grad, 0.01)

    model = mlp(6, 32, 3)
    watch(model=model)
    return fit(model, Lion(model.parameters(), lr=1e-3))


def temperature_held_at_its_upper_bound(watch: Watch) -> list[float]:
    image, text = nn.Linear(8, 16), nn.Linear(8, 16)
    temperature = nn.Parameter(torch.tensor(math.log(100.0)))
    watch(image=image, text=text, temperature=[temperature])
    optimizer = torch.optim.AdamW([*image.parameters(), *text.parameters(), temperature], lr=1e-3)
    losses = []
    for _ in range(10):
        x = torch.randn(16, 8)
        one = fn.normalize(image(x), dim=-1)
        two = fn.normalize(text(x) + 1e-4 * torch.randn(16, 16), dim=-1)
        logits = temperature.exp() * one @ two.T
        target = torch.arange(16)
        loss = (fn.cross_entropy(logits, target) + fn.cross_entropy(logits.T, target)) / 2
        optimizer.zero_grad()
        (loss - 0.1 * temperature).backward()
        optimizer.step()
        with torch.no_grad():
            temperature.clamp_(0, math.log(100.0))
        losses.append(loss.item())
    return losses


def a_unit_vector_normalised_after_each_step(watch: Watch) -> list[float]:
    direction = nn.Parameter(fn.normalize(torch.randn(6), dim=0))
    watch(direction=[direction])
    optimizer = torch.optim.SGD([direction], lr=0.1)
    data = torch.randn(64, 6) * torch.tensor([3.0, 1, 1, 1, 1, 1])
    losses = []
    for _ in range(14):
        losses.append(update(optimizer, -(data @ direction).pow(2).mean()))
        with torch.no_grad():
            direction.div_(direction.norm())
    return losses


def rotation_kept_on_the_circle(watch: Watch) -> list[float]:
    turn = nn.Parameter(torch.tensor([1.0, 0.0]))
    watch(turn=[turn])
    optimizer = torch.optim.Adam([turn], lr=0.05)
    losses = []
    for _ in range(14):
        x = torch.randn(32, 2)
        y = torch.stack([-x[:, 1], x[:, 0]], 1)
        c, s = turn
        guess = torch.stack([c * x[:, 0] - s * x[:, 1], s * x[:, 0] + c * x[:, 1]], 1)
        losses.append(update(optimizer, fn.mse_loss(guess, y)))
        turn.data = turn.data / turn.data.norm()
    return losses


def non_negative_factors_by_projection(watch: Watch) -> list[float]:
    left, right = nn.Parameter(torch.rand(12, 3)), nn.Parameter(torch.rand(3, 10))
    watch(factors=[left, right])
    optimizer = torch.optim.SGD([left, right], lr=0.02)
    target = torch.rand(12, 3) @ torch.rand(3, 10)
    losses = []
    for _ in range(12):
        losses.append(update(optimizer, (left @ right - target).pow(2).sum()))
        for p in (left, right):
            p.data.clamp_(min=0)
    return losses


def portfolio_weights_on_the_simplex(watch: Watch) -> list[float]:
    share = nn.Parameter(torch.full((5,), 0.2))
    watch(share=[share])
    optimizer = torch.optim.SGD([share], lr=0.05)
    losses = []
    for _ in range(12):
        returns = 0.01 * torch.randn(64, 5) + 0.01 * torch.arange(5)
        gain = returns @ share
        losses.append(update(optimizer, -gain.mean() + gain.var()))
        with torch.no_grad():
            share.clamp_(min=0)
            share.div_(share.sum())
    return losses


def lagrange_multiplier_that_stays_at_zero(watch: Watch) -> list[float]:
    policy, multiplier = mlp(6, 16, 3), nn.Parameter(torch.zeros(()))
    watch(policy=policy, multiplier=[multiplier])
    optimizer = torch.optim.Adam(policy.parameters(), lr=1e-3)
    dual = torch.optim.SGD([multiplier], lr=0.1)
    losses = []
    for _ in range(10):
        x, y = batch()
        logits = policy(x)
        cost = logits.pow(2).mean()
        losses.append(update(optimizer, fn.cross_entropy(logits, y) + multiplier.detach() * cost))
        dual.zero_grad()
        (-multiplier * (cost.detach() - 10)).backward()
        dual.step()
        with torch.no_grad():
            multiplier.clamp_(min=0)
    return losses


def kl_weight_of_zero_at_first(watch: Watch) -> list[float]:
    encoder, decoder, prior = mlp(8, 16, 8), mlp(4, 16, 8), mlp(2, 8, 8)
    watch(encoder=encoder, decoder=decoder, prior=prior)
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters(), *prior.parameters()], lr=1e-3)
    losses = []
    for step in range(12):
        x = torch.randn(16, 8)
        mean, log_var = encoder(x).chunk(2, -1)
        prior_mean, prior_log_var = prior(x[:, :2]).chunk(2, -1)
        z = mean + torch.exp(0.5 * log_var) * torch.randn_like(mean)
        apart = prior_log_var - log_var + (log_var.exp() + (mean - prior_mean).pow(2)) / prior_log_var.exp() - 1
        weight = min(1.0, max(0.0, (step - 4) / 6))
        losses.append(update(optimizer, fn.mse_loss(decoder(z), x) + weight * 0.5 * apart.sum(-1).mean()))
    return losses


def adversary_that_starts_later(watch: Watch) -> list[float]:
    coder, critic = mlp(8, 16, 8), mlp(8, 16, 1)
    watch(coder=coder, critic=critic)
    opt_coder = torch.optim.Adam(coder.parameters(), lr=1e-3)
    opt_critic = torch.optim.Adam(critic.parameters(), lr=1e-3)
    losses = []
    for step in range(12):
        x = torch.randn(16, 8)
        factor = 1.0 if step >= 5 else 0.0
        made = coder(x)
        reconstruction, cheat = fn.mse_loss(made, x), -critic(made).mean()
        last = coder[-1].weight
        size = torch.autograd.grad(reconstruction, last, retain_graph=True)[0].norm()
        size_cheat = torch.autograd.grad(cheat, last, retain_graph=True)[0].norm()
        weight = (size / (size_cheat + 1e-4)).clamp(0, 1e4).detach()
        losses.append(update(opt_coder, reconstruction + factor * weight * cheat))
        hinge = fn.relu(1 - critic(x.detach())).mean() + fn.relu(1 + critic(made.detach())).mean()
        update(opt_critic, factor * 0.5 * hinge)
    return losses


def master_weights_in_float32(watch: Watch) -> list[float]:
    model = mlp(6, 16, 3).to(torch.bfloat16)
    watch(model=model)
    masters = [p.detach().clone().float() for p in model.parameters()]
    for m in masters:
        m.requires_grad = True
    optimizer = torch.optim.Adam(masters, lr=1e-3)
    losses = []
    for _ in range(8):
        x, y = batch()
        loss = fn.cross_entropy(model(x.bfloat16()).float(), y)
        model.zero_grad()
        loss.backward()
        for m, p in zip(masters, model.parameters(), strict=True):
            m.grad = p.grad.float()
        optimizer.step()
        with torch.no_grad():
            for m, p in zip(masters, model.parameters(), strict=True):
                p.copy_(m)
        losses.append(loss.item())
    return losses


def static_scale_removed_by_hand(watch: Watch) -> list[float]:
    model = mlp(6, 16, 3)
    watch(model=model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    losses = []
    for _ in range(8):
        x, y = batch()
        loss = fn.cross_entropy(model(x), y)
        optimizer.zero_grad()
        (loss * 2.0**20).backward()
        for p in model.parameters():
            p.grad.mul_(2.0**-20)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return losses
