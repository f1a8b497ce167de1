"""Correct loops with particular optimizers, schedules, precisions and ways to step."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable

import torch
from torch import nn
from torch.nn import functional as fn
from torch.optim import swa_utils

from tests.healthy.parts import Watch, batch, fit, mlp, update


def lbfgs(watch: Watch) -> list[float]:
    model = mlp(6, 16, 3)
    watch(model=model)
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.5, max_iter=4, line_search_fn="strong_wolfe")
    x, y = batch()

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = fn.cross_entropy(model(x), y)
        loss.backward()
        return loss

    return [float(optimizer.step(closure)) for _ in range(5)]


def warm_up_from_zero(watch: Watch) -> list[float]:
    model = mlp(6, 16, 3)
    watch(model=model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, step / 5))
    return _scheduled(model, optimizer, scheduler, 10)


def cosine_to_zero(watch: Watch) -> list[float]:
    model = mlp(6, 16, 3)
    watch(model=model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    return _scheduled(model, optimizer, torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=12), 12)


def one_cycle(watch: Watch) -> list[float]:
    model = mlp(6, 16, 3)
    watch(model=model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    return _scheduled(model, optimizer, torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=12), 12)


def warm_up_then_cosine(watch: Watch) -> list[float]:
    model = mlp(6, 16, 3)
    watch(model=model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda s: s / 3 if s < 3 else 0.5 * (1 + math.cos(math.pi * (s - 3) / 9))
    )
    return _scheduled(model, optimizer, schedule, 12)


def _scheduled(model: nn.Module, optimizer: torch.optim.Optimizer, scheduler: object, steps: int) -> list[float]:
    losses = []
    for _ in range(steps):
        losses += fit(model, optimizer, 1)
        scheduler.step()
    return losses


def clipped_gradients(watch: Watch) -> list[float]:
    model = nn.GRU(6, 16, 2, batch_first=True)
    head = nn.Linear(16, 3)
    watch(model=model, head=head)
    params = [*model.parameters(), *head.parameters()]
    optimizer = torch.optim.Adam(params, lr=1e-3)
    losses = []
    for _ in range(6):
        loss = fn.cross_entropy(head(model(torch.randn(4, 12, 6))[0][:, -1]), torch.randint(0, 3, (4,)))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(params, max_norm=0.1)
        optimizer.step()
        losses.append(loss.item())
    return losses


def accumulation_with_a_remainder(watch: Watch) -> list[float]:
    model = mlp(6, 16, 3)
    watch(model=model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    losses = []
    for _ in range(3):
        for i in range(10):
            x, y = batch()
            loss = fn.cross_entropy(model(x), y) / 4
            loss.backward()
            if (i + 1) % 4 == 0 or i == 9:
                optimizer.step()
                optimizer.zero_grad()
            losses.append(loss.item())
    return losses


def step_in_the_backward_pass(watch: Watch) -> list[float]:
    model = mlp(6, 16, 3)
    watch(model=model)
    optimizers = {p: torch.optim.SGD([p], lr=0.05) for p in model.parameters()}

    def step(p: torch.Tensor) -> None:
        optimizers[p].step()
        optimizers[p].zero_grad()

    for p in model.parameters():
        p.register_post_accumulate_grad_hook(step)
    losses = []
    for _ in range(7):
        x, y = batch()
        loss = fn.cross_entropy(model(x), y)
        loss.backward()
        losses.append(loss.item())
    return losses


def sharpness_aware(watch: Watch) -> list[float]:
    model = mlp(6, 16, 3)
    watch(model=model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    losses = []
    for _ in range(7):
        x, y = batch()
        loss = fn.cross_entropy(model(x), y)
        loss.backward()
        with torch.no_grad():
            norm = torch.stack([p.grad.norm() for p in model.parameters()]).norm()
            moves = [p.grad * (0.05 / (norm + 1e-12)) for p in model.parameters()]
            for p, move in zip(model.parameters(), moves, strict=True):
                p.add_(move)
        optimizer.zero_grad()
        fn.cross_entropy(model(x), y).backward()
        with torch.no_grad():
            for p, move in zip(model.parameters(), moves, strict=True):
                p.sub_(move)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses


def ema_swapped_in_for_evaluation(watch: Watch) -> list[float]:
    model = mlp(6, 16, 3)
    watch(model=model)
    shadow = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    losses = []
    for _ in range(4):
        losses += fit(model, optimizer, 3)
        for name, p in model.named_parameters():
            shadow[name].mul_(0.9).add_(p.data, alpha=0.1)
        backup = {name: p.data.clone() for name, p in model.named_parameters()}
        for name, p in model.named_parameters():
            p.data.copy_(shadow[name])
        model.eval()
        with torch.no_grad():
            x, y = batch()
            losses.append(fn.cross_entropy(model(x), y).item())
        for name, p in model.named_parameters():
            p.data.copy_(backup[name])
        model.train()
    return losses


def stochastic_weight_averaging(watch: Watch) -> list[float]:
    model = nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 3))
    watch(model=model)
    averaged = swa_utils.AveragedModel(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scheduler = swa_utils.SWALR(optimizer, swa_lr=0.05, anneal_epochs=2)
    losses = []
    for epoch in range(5):
        losses += fit(model, optimizer, 3)
        if epoch >= 2:
            averaged.update_parameters(model)
            scheduler.step()
    swa_utils.update_bn([torch.randn(16, 6) for _ in range(3)], averaged)
    with torch.no_grad():
        x, y = batch()
        losses.append(fn.cross_entropy(averaged(x), y).item())
    return losses


def lookahead(watch: Watch) -> list[float]:
    model = mlp(6, 16, 3)
    watch(model=model)
    slow = [p.detach().clone() for p in model.parameters()]
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    losses = []
    for _ in range(3):
        losses += fit(model, optimizer, 5)
        with torch.no_grad():
            for p, s in zip(model.parameters(), slow, strict=True):
                s.add_(p - s, alpha=0.5)
                p.copy_(s)
    return losses


class Slow(torch.optim.Optimizer):
    """Lookahead as most people write it: an optimizer of its own, around another."""

    def __init__(self, base: torch.optim.Optimizer) -> None:
        self.base, self.turns = base, 0
        super().__init__([p for group in base.param_groups for p in group["params"]], {"lr": base.defaults["lr"]})
        self.slow = [p.detach().clone() for p in self.param_groups[0]["params"]]

    def step(self, closure: object = None) -> None:
        self.base.step()
        self.turns += 1
        with torch.no_grad():
            for slow, p in zip(self.slow, self.param_groups[0]["params"], strict=True):
                if self.turns % 3 == 0:
                    p.copy_(slow.lerp_(p, 0.5))


def optimizer_around_another(watch: Watch) -> list[float]:
    model = mlp(6, 16, 3)
    watch(model=model)
    return fit(model, Slow(torch.optim.Adam(model.parameters(), lr=1e-3)), 10)


def autocast_in_bfloat16(watch: Watch) -> list[float]:
    model = nn.Sequential(nn.Linear(6, 16), nn.LayerNorm(16), nn.ReLU(), nn.Linear(16, 3))
    watch(model=model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    losses = []
    for _ in range(8):
        x, y = batch()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = fn.cross_entropy(model(x), y)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def scaled_loss(watch: Watch) -> list[float]:
    model = mlp(6, 16, 3)
    watch(model=model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**12)
    losses = []
    for _ in range(8):
        x, y = batch()
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.float16):
            loss = fn.cross_entropy(model(x), y)
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
        losses.append(loss.item())
    return losses


def double_precision(watch: Watch) -> list[float]:
    model = mlp(6, 16, 3).to(torch.float64)
    watch(model=model)
    return fit(lambda x: model(x.double()), torch.optim.Adam(model.parameters(), lr=1e-3))


def compiled_eagerly(watch: Watch) -> list[float]:
    return _compiled(watch, "eager")


def compiled_ahead_of_time(watch: Watch) -> list[float]:
    return _compiled(watch, "aot_eager")


def _compiled(watch: Watch, backend: str) -> list[float]:
    encoder, head = mlp(6, 16, 8), nn.Linear(8, 3)
    watch(encoder=encoder, head=head)
    fast = torch.compile(encoder, backend=backend)
    optimizer = torch.optim.Adam([*encoder.parameters(), *head.parameters()], lr=1e-3)
    return fit(lambda x: head(fast(x)), optimizer)


def ensemble_of_independent_members(watch: Watch) -> list[float]:
    members = nn.ModuleList(mlp(6, 8, 3) for _ in range(3))
    watch(members=members)
    optimizers = [torch.optim.Adam(m.parameters(), lr=1e-3) for m in members]
    return [x for m, o in zip(members, optimizers, strict=True) for x in fit(m, o, 5)]


def best_weights_restored(watch: Watch) -> list[float]:
    model = mlp(6, 16, 3)
    watch(model=model)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    best, best_state, patience, losses = math.inf, copy.deepcopy(model.state_dict()), 0, []
    for _ in range(12):
        losses += fit(model, optimizer, 1)
        model.eval()
        with torch.no_grad():
            x, y = batch()
            score = fn.cross_entropy(model(x), y).item()
        model.train()
        if score < best:
            best, best_state, patience = score, copy.deepcopy(model.state_dict()), 0
        else:
            patience += 1
            if patience == 3:
                break
    model.load_state_dict(best_state)
    return losses


def values_by_line_search_whose_loss_jumps(watch: Watch) -> list[float]:
    """LBFGS without a line search throws its weights far away now and then, and comes back."""
    net = mlp(20, 16, 4)
    value = nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 1))
    watch(net=net, value=value)
    optimizer, own = torch.optim.Adam(net.parameters(), lr=1e-3), torch.optim.LBFGS(value.parameters(), max_iter=3)
    losses = []
    for _ in range(12):
        x, y = torch.randn(32, 20), torch.randint(4, (32,))
        losses.append(update(optimizer, fn.cross_entropy(net(x), y)))

        def closure(x: torch.Tensor = x) -> torch.Tensor:
            own.zero_grad()
            loss = (value(x).squeeze(-1) - x[:, 0]).square().mean()
            loss.backward()
            return loss

        own.step(closure)
    return losses


class _NormedSteps(torch.optim.Optimizer):
    """Layer-wise steps of the size of the weight, as LARS takes them; no gradient makes no step."""

    def __init__(self, params: Iterable[torch.Tensor], lr: float) -> None:
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for param in group["params"]:
                if param.grad is not None:
                    ratio = torch.where(param.grad.norm() > 0, param.norm().clamp(min=0.1) / param.grad.norm(), 0.0)
                    param.add_(param.grad * ratio, alpha=-group["lr"])


def an_optimizer_that_divides_by_norms(watch: Watch) -> list[float]:
    model = nn.Sequential(mlp(6, 16, 16), nn.Linear(16, 3))
    nn.init.zeros_(model[1].weight)
    watch(model=model)
    return fit(model, _NormedSteps(model.parameters(), 0.02))
