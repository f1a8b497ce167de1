"""Correct loops with derivatives inside the model, solvers, samplers, and other uses of autograd itself."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as fn

from tests.healthy.parts import Watch, batch, mlp, update


def _tanh(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, outputs))


def physics_informed_network(watch: Watch) -> list[float]:
    net, diffusivity = _tanh(2, 1), nn.Parameter(torch.tensor(0.5))
    watch(net=net, diffusivity=[diffusivity])
    optimizer = torch.optim.Adam([*net.parameters(), diffusivity], lr=1e-3)
    losses = []
    for _ in range(8):
        x, t = torch.rand(32, 1, requires_grad=True), torch.rand(32, 1, requires_grad=True)
        u = net(torch.cat([x, t], 1))
        ones = torch.ones_like(u)
        u_t = torch.autograd.grad(u, t, ones, create_graph=True)[0]
        u_x = torch.autograd.grad(u, x, ones, create_graph=True)[0]
        u_xx = torch.autograd.grad(u_x, x, ones, create_graph=True)[0]
        start = torch.rand(16, 1)
        known = net(torch.cat([start, torch.zeros(16, 1)], 1)) - torch.sin(3.14 * start)
        losses.append(update(optimizer, (u_t - diffusivity * u_xx).pow(2).mean() + known.pow(2).mean()))
    return losses


def hamiltonian_network(watch: Watch) -> list[float]:
    energy = _tanh(2, 1)
    watch(energy=energy)
    optimizer = torch.optim.Adam(energy.parameters(), lr=1e-3)
    losses = []
    for _ in range(8):
        state = torch.randn(32, 2, requires_grad=True)
        slope = torch.autograd.grad(energy(state).sum(), state, create_graph=True)[0]
        guess = torch.stack([slope[:, 1], -slope[:, 0]], 1)
        truth = torch.stack([state[:, 1], -state[:, 0]], 1).detach()
        losses.append(update(optimizer, fn.mse_loss(guess, truth)))
    return losses


def sliced_score_matching(watch: Watch) -> list[float]:
    score = _tanh(2, 2)
    watch(score=score)
    optimizer = torch.optim.Adam(score.parameters(), lr=1e-3)
    losses = []
    for _ in range(8):
        x = (torch.randn(64, 2) * 0.5 + 1).requires_grad_()
        v = torch.randn_like(x)
        s = score(x)
        along = torch.autograd.grad((s * v).sum(), x, create_graph=True)[0]
        losses.append(update(optimizer, ((along * v).sum(1) + 0.5 * (s * v).sum(1).pow(2)).mean()))
    return losses


def energy_model_with_langevin_sampling(watch: Watch) -> list[float]:
    energy = mlp(2, 32, 1)
    watch(energy=energy)
    optimizer = torch.optim.Adam(energy.parameters(), lr=1e-3)
    losses, replay = [], torch.randn(64, 2)
    for _ in range(8):
        pick = torch.randint(0, 64, (16,))
        x = replay[pick].clone()
        energy.requires_grad_(False)
        for _ in range(4):
            x.requires_grad_(True)
            slope = torch.autograd.grad(energy(x).sum(), x)[0]
            x = (x - 0.1 * slope + 0.05 * torch.randn_like(x)).detach()
        energy.requires_grad_(True)
        replay[pick] = x
        real, made = energy(torch.randn(16, 2) * 0.3 + 1), energy(x)
        losses.append(update(optimizer, real.mean() - made.mean() + 0.1 * (real**2 + made**2).mean()))
    return losses


class _Adjoint(torch.autograd.Function):
    @staticmethod
    def forward(ctx, field, start, *params):  # type: ignore[no-untyped-def]
        ctx.field = field
        with torch.no_grad():
            at = start
            for _ in range(5):
                at = at + 0.2 * field(at)
        ctx.save_for_backward(at)
        return at

    @staticmethod
    def backward(ctx, grad):  # type: ignore[no-untyped-def]
        (at,) = ctx.saved_tensors
        params = tuple(ctx.field.parameters())
        sums = [torch.zeros_like(p) for p in params]
        for _ in range(5):
            with torch.enable_grad():
                at = at.detach().requires_grad_()
                slope = ctx.field(at)
                back, *grads = torch.autograd.grad(slope, (at, *params), grad)
            at, grad = at - 0.2 * slope.detach(), grad + 0.2 * back
            sums = [s + 0.2 * g for s, g in zip(sums, grads, strict=True)]
        return None, grad, *sums


def neural_ode_by_the_adjoint(watch: Watch) -> list[float]:
    encoder, field, head = nn.Linear(6, 4), _tanh(4, 4), nn.Linear(4, 3)
    watch(encoder=encoder, field=field, head=head)
    optimizer = torch.optim.Adam([*encoder.parameters(), *field.parameters(), *head.parameters()], lr=1e-2)
    losses = []
    for _ in range(8):
        x, y = batch()
        end = _Adjoint.apply(field, encoder(x), *field.parameters())
        losses.append(update(optimizer, fn.cross_entropy(head(end), y)))
    return losses


def implicit_meta_gradients(watch: Watch) -> list[float]:
    meta = nn.Parameter(torch.randn(6) * 0.1)
    watch(meta=[meta])
    optimizer = torch.optim.Adam([meta], lr=1e-2)
    losses = []
    for _ in range(8):
        x, truth = torch.randn(20, 6), torch.randn(6) + 1
        inner = meta.detach().clone().requires_grad_()
        for _ in range(5):
            loss = (x @ inner - x @ truth).pow(2).mean() + 0.5 * (inner - meta.detach()).pow(2).sum()
            inner = (inner - 0.05 * torch.autograd.grad(loss, inner)[0]).detach().requires_grad_()
        test = torch.randn(20, 6)
        outer = (test @ inner - test @ truth).pow(2).mean()
        slope = torch.autograd.grad(outer, inner)[0]
        optimizer.zero_grad()
        meta.grad = torch.linalg.solve(2 * x.T @ x / 20 + torch.eye(6), slope)
        optimizer.step()
        losses.append(outer.item())
    return losses


def differentiable_kalman_filter(watch: Watch) -> list[float]:
    move, observe = nn.Parameter(torch.eye(2) * 0.8), nn.Parameter(torch.randn(1, 2))
    log_noise = nn.Parameter(torch.zeros(2))
    watch(filter=[move, observe, log_noise])
    optimizer = torch.optim.Adam([move, observe, log_noise], lr=1e-2)
    losses = []
    for _ in range(8):
        data = torch.randn(10).cumsum(0) * 0.3
        mean, spread, loss = torch.zeros(2), torch.eye(2), torch.zeros(())
        for y in data:
            mean, spread = move @ mean, move @ spread @ move.T + log_noise[0].exp() * torch.eye(2)
            s = (observe @ spread @ observe.T).squeeze() + log_noise[1].exp()
            off = y - (observe @ mean).squeeze()
            gain = (spread @ observe.T).squeeze(1) / s
            mean, spread = mean + gain * off, spread - torch.outer(gain, (observe @ spread).squeeze(0))
            loss = loss + 0.5 * (s.log() + off**2 / s)
        losses.append(update(optimizer, loss))
    return losses


def soft_rasteriser(watch: Watch) -> list[float]:
    centre, radius, colour = (nn.Parameter(torch.rand(3, n)) for n in (2, 1, 3))
    watch(scene=[centre, radius, colour])
    optimizer = torch.optim.Adam([centre, radius, colour], lr=1e-2)
    grid = torch.stack(torch.meshgrid(torch.linspace(0, 1, 8), torch.linspace(0, 1, 8), indexing="ij"), -1).view(-1, 2)
    photo = (grid - 0.5).norm(dim=1, keepdim=True).lt(0.3).float().expand(-1, 3)
    losses = []
    for _ in range(10):
        near = torch.sigmoid((radius.T * 0.5 - torch.cdist(grid, centre)) / 0.05)
        picture = 1 - torch.prod(1 - near[..., None] * colour.sigmoid(), 1)
        losses.append(update(optimizer, fn.mse_loss(picture, photo)))
    return losses


def gaussian_process_by_marginal_likelihood(watch: Watch) -> list[float]:
    log_scale, log_size, log_noise = (nn.Parameter(torch.zeros(())) for _ in range(3))
    watch(kernel=[log_scale, log_size, log_noise])
    optimizer = torch.optim.LBFGS([log_scale, log_size, log_noise], lr=0.1, max_iter=3, line_search_fn="strong_wolfe")
    x = torch.linspace(0, 3, 20)[:, None]
    y = torch.sin(2 * x[:, 0]) + 0.1 * torch.randn(20)
    losses: list[float] = []

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        cover = log_size.exp() * torch.exp(-0.5 * ((x - x.T) / log_scale.exp()) ** 2)
        factor = torch.linalg.cholesky(cover + (log_noise.exp() + 1e-4) * torch.eye(20))
        alpha = torch.cholesky_solve(y[:, None], factor)
        loss = 0.5 * (y @ alpha).squeeze() + factor.diagonal().log().sum()
        loss.backward()
        losses.append(loss.item())
        return loss

    for _ in range(4):
        optimizer.step(closure)
    return losses


def sinkhorn_matching(watch: Watch) -> list[float]:
    scorer = mlp(6, 16, 6)
    watch(scorer=scorer)
    optimizer = torch.optim.Adam(scorer.parameters(), lr=1e-3)
    losses = []
    for _ in range(8):
        x = torch.randn(5, 6)
        log_plan = scorer(x) @ x[torch.randperm(5)].T
        for _ in range(6):
            log_plan = log_plan - log_plan.logsumexp(1, keepdim=True)
            log_plan = log_plan - log_plan.logsumexp(0, keepdim=True)
        losses.append(update(optimizer, -(log_plan.exp() * torch.eye(5)).sum()))
    return losses


def velocity_prediction_with_averaged_weights(watch: Watch) -> list[float]:
    net = mlp(9, 32, 8)
    average = torch.optim.swa_utils.AveragedModel(net, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.99))
    watch(net=net)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
    losses = []
    for _ in range(8):
        x, noise, t = torch.randn(16, 8), torch.randn(16, 8), torch.rand(16, 1)
        a, s = torch.cos(1.57 * t), torch.sin(1.57 * t)
        velocity = a * noise - s * x
        weight = torch.minimum((a / s) ** 2, torch.tensor(5.0)) / ((a / s) ** 2 + 1)
        guess = net(torch.cat([a * x + s * noise, t], 1))
        losses.append(update(optimizer, (weight * (guess - velocity) ** 2).mean()))
        average.update_parameters(net)
    return losses


def gumbel_straight_through_codes(watch: Watch) -> list[float]:
    encoder, codebook, decoder = mlp(6, 16, 8), nn.Embedding(8, 4), mlp(4, 16, 6)
    watch(encoder=encoder, codebook=codebook, decoder=decoder)
    optimizer = torch.optim.Adam([*encoder.parameters(), *codebook.parameters(), *decoder.parameters()], lr=1e-3)
    losses = []
    for step in range(8):
        x = torch.randn(16, 6)
        chosen = fn.gumbel_softmax(encoder(x), tau=max(0.5, 1 - step / 10), hard=True)
        losses.append(update(optimizer, fn.mse_loss(decoder(chosen @ codebook.weight), x)))
    return losses
