"""Correct loops whose parts train at different times, by schedules, or from several losses."""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.nn import functional as fn

from tests.healthy.parts import Watch, batch, fit, mlp, update


def freezing_layers_in_mid_run(watch: Watch) -> list[float]:
    model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 3))
    watch(model=model)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    losses = fit(model, optimizer)
    for p in model[0].parameters():
        p.requires_grad = False
    losses += fit(model, optimizer)
    model[2].requires_grad_(False)
    return losses + fit(model, optimizer)


def gradual_unfreezing(watch: Watch) -> list[float]:
    backbone, head = mlp(6, 16, 16), nn.Linear(16, 3)
    model = nn.Sequential(backbone, head)
    watch(model=model)
    backbone.requires_grad_(False)
    optimizer = torch.optim.Adam(head.parameters(), lr=1e-3)
    losses = fit(model, optimizer)
    backbone[2].requires_grad_(True)
    optimizer.add_param_group({"params": backbone[2].parameters(), "lr": 1e-4})
    losses += fit(model, optimizer)
    backbone[0].requires_grad_(True)
    optimizer.add_param_group({"params": backbone[0].parameters(), "lr": 1e-5})
    return losses + fit(model, optimizer)


def unfreezing_with_everything_in_the_optimizer(watch: Watch) -> list[float]:
    backbone, head = mlp(6, 16, 16), nn.Linear(16, 3)
    model = nn.Sequential(backbone, head)
    watch(model=model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    losses: list[float] = []
    for epoch in range(4):
        backbone.requires_grad_(epoch >= 2)
        losses += fit(model, optimizer, 4)
    return losses


def frozen_backbone_in_eval(watch: Watch) -> list[float]:
    backbone = nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU())
    head = nn.Linear(16, 3)
    backbone.eval().requires_grad_(False)
    watch(backbone=backbone, head=head)
    return fit(nn.Sequential(backbone, head), torch.optim.SGD(head.parameters(), lr=0.1))


def layer_wise_learning_rates(watch: Watch) -> list[float]:
    model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 3))
    watch(model=model)
    layers = [layer for layer in model if isinstance(layer, nn.Linear)]
    groups = [{"params": layer.parameters(), "lr": 1e-3 * 0.5 ** (2 - i)} for i, layer in enumerate(layers)]
    return fit(model, torch.optim.AdamW(groups))


def weight_decay_groups(watch: Watch) -> list[float]:
    model = nn.Sequential(nn.Linear(6, 16), nn.LayerNorm(16), nn.GELU(), nn.Linear(16, 3))
    watch(model=model)
    decay = [p for p in model.parameters() if p.ndim > 1]
    rest = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": decay, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}]
    return fit(model, torch.optim.AdamW(groups, lr=1e-3))


def stages_with_an_optimizer_each(watch: Watch) -> list[float]:
    encoder, decoder, classifier = mlp(6, 16, 4), mlp(4, 16, 6), nn.Linear(4, 3)
    watch(encoder=encoder, decoder=decoder, classifier=classifier)
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=1e-3)
    for _ in range(7):
        x = torch.randn(16, 6)
        loss = fn.mse_loss(decoder(encoder(x)), x)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    encoder.requires_grad_(False)
    optimizer = torch.optim.Adam(classifier.parameters(), lr=1e-3)
    return fit(lambda x: classifier(encoder(x)), optimizer)


def linear_probe_on_detached_features(watch: Watch) -> list[float]:
    encoder, decoder, probe = mlp(6, 16, 4), mlp(4, 16, 6), nn.Linear(4, 3)
    watch(encoder=encoder, decoder=decoder, probe=probe)
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters(), *probe.parameters()], lr=1e-3)
    losses = []
    for _ in range(8):
        x = torch.randn(16, 6)
        code = encoder(x)
        loss = fn.mse_loss(decoder(code), x) + fn.cross_entropy(probe(code.detach()), x[:, :3].argmax(1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def curriculum(watch: Watch) -> list[float]:
    easy, hard, body = nn.Linear(16, 2), nn.Linear(16, 3), mlp(6, 16, 16)
    watch(easy=easy, hard=hard, body=body)
    optimizer = torch.optim.Adam([*easy.parameters(), *hard.parameters(), *body.parameters()], lr=1e-3)
    losses = []
    for epoch in range(12):
        x = torch.randn(16, 6)
        loss = fn.cross_entropy(easy(body(x)), (x[:, 0] > 0).long())
        if epoch >= 6:
            loss = loss + fn.cross_entropy(hard(body(x)), x[:, :3].argmax(1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def auxiliary_loss_annealed_to_zero(watch: Watch) -> list[float]:
    body, main, side = mlp(6, 16, 16), nn.Linear(16, 3), nn.Linear(16, 6)
    watch(body=body, main=main, side=side)
    optimizer = torch.optim.Adam([*body.parameters(), *main.parameters(), *side.parameters()], lr=1e-3)
    losses = []
    for step in range(10):
        x = torch.randn(16, 6)
        hidden = body(x)
        weight = max(0.0, 1 - step / 7)
        loss = fn.cross_entropy(main(hidden), x[:, :3].argmax(1)) + weight * fn.mse_loss(side(hidden), x)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def tasks_drawn_at_random(watch: Watch) -> list[float]:
    body, heads = mlp(6, 16, 16), nn.ModuleList(nn.Linear(16, 2) for _ in range(3))
    watch(body=body, heads=heads)
    optimizer = torch.optim.Adam([*body.parameters(), *heads.parameters()], lr=1e-3)
    losses = []
    for _ in range(12):
        task = int(torch.randint(0, 3, ()))
        x = torch.randn(16, 6)
        loss = fn.cross_entropy(heads[task](body(x)), (x[:, task] > 0).long())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def tasks_weighted_by_uncertainty(watch: Watch) -> list[float]:
    body, one, two = mlp(6, 16, 16), nn.Linear(16, 3), nn.Linear(16, 1)
    log_vars = nn.Parameter(torch.zeros(2))
    watch(body=body, one=one, two=two, log_vars=[log_vars])
    optimizer = torch.optim.Adam([*body.parameters(), *one.parameters(), *two.parameters(), log_vars], lr=1e-3)
    losses = []
    for _ in range(8):
        x = torch.randn(16, 6)
        hidden = body(x)
        terms = torch.stack([fn.cross_entropy(one(hidden), x[:, :3].argmax(1)), fn.mse_loss(two(hidden), x[:, :1])])
        loss = (torch.exp(-log_vars) * terms + log_vars).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def tasks_weighted_by_gradient_norm(watch: Watch) -> list[float]:
    body, heads = mlp(6, 16, 16), nn.ModuleList([nn.Linear(16, 3), nn.Linear(16, 1)])
    weights = nn.Parameter(torch.ones(2))
    watch(body=body, heads=heads, weights=[weights])
    optimizer = torch.optim.Adam([*body.parameters(), *heads.parameters()], lr=1e-3)
    opt_weights = torch.optim.Adam([weights], lr=0.025)
    losses, first = [], None
    for _ in range(8):
        x = torch.randn(16, 6)
        hidden = body(x)
        terms = torch.stack(
            [fn.cross_entropy(heads[0](hidden), x[:, :3].argmax(1)), fn.mse_loss(heads[1](hidden), x[:, :1])]
        )
        first = terms.detach() if first is None else first
        optimizer.zero_grad()
        (weights.detach() * terms).sum().backward(retain_graph=True)
        shared = body[2].weight
        norms = torch.stack(
            [
                torch.autograd.grad(w * t, shared, create_graph=True)[0].norm()
                for w, t in zip(weights, terms, strict=True)
            ]
        )
        ratio = terms.detach() / first
        goal = (norms.mean() * (ratio / ratio.mean()) ** 1.5).detach()
        opt_weights.zero_grad()
        weights.grad = torch.autograd.grad((norms - goal).abs().sum(), weights)[0]
        optimizer.step()
        opt_weights.step()
        weights.data = 2 * weights.data / weights.data.sum()
        losses.append(terms.sum().item())
    return losses


def an_optimizer_for_each_of_two_backwards(watch: Watch) -> list[float]:
    translator, summariser = mlp(6, 16, 6), mlp(6, 16, 3)
    watch(translator=translator, summariser=summariser)
    opt_t = torch.optim.Adam(translator.parameters(), lr=1e-3)
    opt_s = torch.optim.Adam(summariser.parameters(), lr=1e-3)
    losses = []
    for _ in range(8):
        x = torch.randn(16, 6)
        out = translator(x)
        loss = fn.mse_loss(out, x.flip(1)) + fn.cross_entropy(summariser(out), x[:, :3].argmax(1))
        opt_t.zero_grad()
        opt_s.zero_grad()
        loss.backward()
        opt_t.step()
        opt_s.step()
        losses.append(loss.item())
    return losses


def greedy_layers_with_local_losses(watch: Watch) -> list[float]:
    layers = nn.ModuleList(nn.Sequential(nn.Linear(6, 6), nn.Tanh()) for _ in range(3))
    heads = nn.ModuleList(nn.Linear(6, 3) for _ in range(3))
    watch(layers=layers, heads=heads)
    optimizers = [
        torch.optim.Adam([*a.parameters(), *b.parameters()], lr=1e-3) for a, b in zip(layers, heads, strict=True)
    ]
    losses = []
    for _ in range(7):
        x = torch.randn(16, 6)
        y, hidden = x[:, :3].argmax(1), x
        for layer, head, optimizer in zip(layers, heads, optimizers, strict=True):
            hidden = layer(hidden.detach())
            loss = fn.cross_entropy(head(hidden), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        losses.append(loss.item())
    return losses


def expectation_maximisation(watch: Watch) -> list[float]:
    means, scales = nn.Parameter(torch.randn(3, 2)), nn.Parameter(torch.zeros(3, 2))
    watch(mixture=[means, scales])
    optimizer = torch.optim.Adam([means, scales], lr=1e-2)
    x = torch.randn(64, 2) + torch.randint(0, 3, (64, 1))
    losses = []
    for _ in range(8):
        with torch.no_grad():
            share = torch.distributions.Normal(means, scales.exp()).log_prob(x[:, None]).sum(-1).softmax(-1)
        each = torch.distributions.Normal(means, scales.exp()).log_prob(x[:, None]).sum(-1)
        loss = -(share * each).sum(-1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def clients_copied_with_a_frozen_backbone(watch: Watch) -> list[float]:
    """What is copied is frozen in part, and the optimizer is given all of it."""
    body, head = mlp(6, 16, 16), nn.Linear(16, 3)
    for p in body.parameters():
        p.requires_grad_(False)
    whole = nn.Sequential(body, head)
    clients = [copy.deepcopy(whole) for _ in range(2)]
    watch(first=clients[0], second=clients[1])
    optimizers = [torch.optim.SGD(client.parameters(), lr=0.1) for client in clients]
    losses = []
    for _ in range(6):
        x, y = batch()
        for client, optimizer in zip(clients, optimizers, strict=True):
            losses.append(update(optimizer, fn.cross_entropy(client(x), y)))
    return losses


def a_frozen_group_that_is_thawed_after_a_warm_up(watch: Watch) -> list[float]:
    backbone, head = mlp(6, 16, 16), nn.Linear(16, 3)
    model = nn.Sequential(backbone, head)
    watch(model=model)
    backbone.requires_grad_(False)
    optimizer = torch.optim.Adam(head.parameters(), lr=1e-3)
    optimizer.add_param_group({"params": backbone.parameters(), "lr": 1e-4})
    losses = fit(model, optimizer, 25)
    backbone.requires_grad_(True)
    return losses + fit(model, optimizer)
