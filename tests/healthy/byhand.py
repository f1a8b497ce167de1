"""Correct loops with updates that no torch optimizer makes, or that an unusual one makes."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as fn

from tests.healthy.parts import Watch, batch, fit, mlp, update


def one_model_by_hand_and_one_by_an_optimizer(watch: Watch) -> list[float]:
    body, head = mlp(6, 16, 16), nn.Linear(16, 3)
    watch(body=body, head=head)
    optimizer = torch.optim.Adam(body.parameters(), lr=1e-3)
    losses = []
    for _ in range(8):
        x, y = batch()
        loss = fn.cross_entropy(head(body(x)), y)
        optimizer.zero_grad()
        head.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            for p in head.parameters():
                p.sub_(0.1 * p.grad)
        losses.append(loss.item())
    return losses


def an_optimizer_class_of_ones_own(watch: Watch) -> list[float]:
    class Momentum:
        def __init__(self, params, lr: float) -> None:  # type: ignore[no-untyped-def]
            self.params, self.lr = list(params), lr
            self.speed = [torch.zeros_like(p) for p in self.params]

        def zero_grad(self) -> None:
            for p in self.params:
                p.grad = None

        @torch.no_grad()
        def step(self) -> None:
            for p, v in zip(self.params, self.speed, strict=True):
                v.mul_(0.9).add_(p.grad)
                p.add_(v, alpha=-self.lr)

    body, head = mlp(6, 16, 16), nn.Linear(16, 3)
    watch(body=body, head=head)
    mine, theirs = Momentum(body.parameters(), 0.05), torch.optim.Adam(head.parameters(), lr=1e-3)
    losses = []
    for _ in range(8):
        x, y = batch()
        loss = fn.cross_entropy(head(body(x)), y)
        mine.zero_grad()
        theirs.zero_grad()
        loss.backward()
        mine.step()
        theirs.step()
        losses.append(loss.item())
    return losses


def evolution_strategies(watch: Watch) -> list[float]:
    model = mlp(6, 16, 3)
    watch(model=model)
    losses = []
    with torch.no_grad():
        theta = nn.utils.parameters_to_vector(model.parameters())
        for _ in range(6):
            x, y = batch()
            noise = torch.randn(8, theta.numel())
            scores = []
            for e in noise:
                nn.utils.vector_to_parameters(theta + 0.05 * e, model.parameters())
                scores.append(fn.cross_entropy(model(x), y))
            score = torch.stack(scores)
            theta = theta - 0.05 * ((score - score.mean()) / score.std()) @ noise / 8
            nn.utils.vector_to_parameters(theta, model.parameters())
            losses.append(score.mean().item())
    return losses


def simultaneous_perturbation_written_into_grad(watch: Watch) -> list[float]:
    model = mlp(6, 16, 3)
    watch(model=model)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(8):
        x, y = batch()
        with torch.no_grad():
            noise = [torch.randint(0, 2, p.shape).float() * 2 - 1 for p in model.parameters()]
            both = []
            for sign in (1, -2, 1):
                for p, e in zip(model.parameters(), noise, strict=True):
                    p.add_(e, alpha=sign * 1e-3)
                both.append(fn.cross_entropy(model(x), y))
            slope = (both[0] - both[1]) / 2e-3
        for p, e in zip(model.parameters(), noise, strict=True):
            p.grad = slope * e
        optimizer.step()
        losses.append(both[0].item())
    return losses


def forward_mode_gradients(watch: Watch) -> list[float]:
    model = mlp(6, 16, 3)
    watch(model=model)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(6):
        x, y = batch()
        params = {name: p.detach() for name, p in model.named_parameters()}
        tangent = {name: torch.randn_like(p) for name, p in params.items()}
        loss, slope = torch.func.jvp(
            lambda q, x=x, y=y: fn.cross_entropy(torch.func.functional_call(model, q, (x,)), y), (params,), (tangent,)
        )
        for name, p in model.named_parameters():
            p.grad = slope * tangent[name]
        optimizer.step()
        losses.append(loss.item())
    return losses


def hebbian_layer_below_a_trained_head(watch: Watch) -> list[float]:
    layer, head = nn.Linear(6, 16, bias=False), nn.Linear(16, 3)
    layer.requires_grad_(False)
    watch(head=head)
    optimizer = torch.optim.Adam(head.parameters(), lr=1e-2)
    losses = []
    for _ in range(8):
        x, y = batch()
        hidden = layer(x)
        layer.weight += 0.01 * (hidden.T @ x / 16 - (hidden**2).mean(0)[:, None] * layer.weight)
        losses.append(update(optimizer, fn.cross_entropy(head(torch.tanh(hidden)), y)))
    return losses


def cross_entropy_method_over_a_learned_model(watch: Watch) -> list[float]:
    world = mlp(5, 16, 4)
    watch(world=world)
    optimizer = torch.optim.Adam(world.parameters(), lr=1e-3)
    losses, state = [], torch.randn(4)
    for _ in range(8):
        with torch.no_grad():
            mean, std = torch.zeros(3), torch.ones(3)
            for _ in range(2):
                plans = mean + std * torch.randn(16, 3)
                at, cost = state.expand(16, 4), torch.zeros(16)
                for t in range(3):
                    at = at + world(torch.cat([at, plans[:, t : t + 1]], 1))
                    cost = cost + at.pow(2).sum(1)
                best = plans[cost.topk(4, largest=False).indices]
                mean, std = best.mean(0), best.std(0) + 1e-3
        after = 0.9 * state + 0.1 * mean[0] + 0.01 * torch.randn(4)
        guess = state + world(torch.cat([state, mean[:1]]))
        losses.append(update(optimizer, fn.mse_loss(guess, after)))
        state = after
    return losses


def eligibility_traces_by_hand(watch: Watch) -> list[float]:
    value = mlp(4, 16, 1)
    watch(value=value)
    traces = [torch.zeros_like(p) for p in value.parameters()]
    losses, state = [], torch.randn(4)
    for _ in range(10):
        now = value(state)
        value.zero_grad()
        now.backward()
        after = 0.9 * state + 0.1 * torch.randn(4)
        with torch.no_grad():
            delta = after.sum() + 0.9 * value(after) - now
            for trace, p in zip(traces, value.parameters(), strict=True):
                trace.mul_(0.8).add_(p.grad)
                p.add_(0.01 * delta * trace)
        losses.append(delta.item())
        state = after
    return losses


def only_the_input_is_trained(watch: Watch) -> list[float]:
    net = mlp(6, 32, 3)
    net.eval()
    for p in net.parameters():
        p.requires_grad = False
    image = torch.randn(1, 6, requires_grad=True)
    watch(image=[image])
    optimizer = torch.optim.Adam([image], lr=0.05)
    losses = []
    for _ in range(8):
        optimizer.zero_grad()
        loss = -net(image)[0, 1] + 0.01 * image.pow(2).sum()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def style_transfer_with_a_trainable_network_in_eval(watch: Watch) -> list[float]:
    net = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1)).eval()
    content, style = torch.rand(1, 1, 8, 8), torch.rand(1, 1, 8, 8)
    image = content.clone().requires_grad_(True)
    watch(image=[image])

    def gram(x: torch.Tensor) -> torch.Tensor:
        flat = net(x).flatten(2)
        return flat @ flat.transpose(1, 2) / flat.numel()

    goal, kept = gram(style).detach(), net(content).detach()
    optimizer = torch.optim.LBFGS([image], max_iter=3)
    losses: list[float] = []
    for _ in range(4):

        def closure() -> torch.Tensor:
            with torch.no_grad():
                image.clamp_(0, 1)
            optimizer.zero_grad()
            loss = fn.mse_loss(net(image), kept) + 1e3 * fn.mse_loss(gram(image), goal)
            loss.backward()
            losses.append(loss.item())
            return loss

        optimizer.step(closure)
    return losses


def a_latent_code_for_every_sample(watch: Watch) -> list[float]:
    codes, decoder = nn.Embedding(40, 4), mlp(4 + 2, 16, 1)
    watch(codes=codes, decoder=decoder)
    optimizer = torch.optim.Adam(
        [{"params": decoder.parameters(), "lr": 1e-3}, {"params": codes.parameters(), "lr": 1e-2}]
    )
    losses = []
    for part in torch.arange(40).split(8) + torch.randperm(40)[:24].split(8):
        z, at = codes(part), torch.rand(len(part), 2)
        distance = at.norm(dim=1, keepdim=True) - 0.5
        loss = (decoder(torch.cat([z, at], 1)).clamp(-0.5, 0.5) - distance.clamp(-0.5, 0.5)).abs().mean()
        losses.append(update(optimizer, loss + 1e-4 * z.pow(2).sum(1).mean()))
    return losses


def test_time_adaptation_by_entropy(watch: Watch) -> list[float]:
    model = nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 3))
    losses = fit(model, torch.optim.Adam(model.parameters(), lr=1e-3))
    model.requires_grad_(False)
    for part in model.modules():
        if isinstance(part, nn.BatchNorm1d):
            part.requires_grad_(True)
            part.track_running_stats, part.running_mean, part.running_var = False, None, None
    watch(model=model)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    for _ in range(6):
        x = torch.randn(16, 6) + 0.5
        chance = model(x).softmax(-1)
        losses.append(update(optimizer, -(chance * chance.log()).sum(-1).mean()))
    return losses


def active_learning_with_a_new_model_each_round(watch: Watch) -> list[float]:
    losses: list[float] = []
    pool, labelled = torch.randn(60, 6), torch.arange(12)
    for _ in range(3):
        model = mlp(6, 16, 3)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        for _ in range(5):
            x = pool[labelled]
            losses.append(update(optimizer, fn.cross_entropy(model(x), x[:, :3].argmax(1))))
        with torch.no_grad():
            unsure = -model(pool).softmax(-1).max(-1).values
        labelled = torch.cat([labelled, unsure.topk(6).indices]).unique()
    return losses
