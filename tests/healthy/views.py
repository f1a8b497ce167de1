"""Correct loops of self-supervision and semi-supervision: redundancy, clusters, masks, pseudo-labels."""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.nn import functional as fn

from tests.healthy.parts import Watch, mlp, update


def _two_views() -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.randn(32, 8)
    return x + 0.1 * torch.randn_like(x), x * (torch.rand_like(x) > 0.1)


def _off_diagonal(x: torch.Tensor) -> torch.Tensor:
    n = x.shape[0]
    return x.flatten()[:-1].view(n - 1, n + 1)[:, 1:].flatten()


def barlow_twins(watch: Watch) -> list[float]:
    encoder = mlp(8, 32, 16)
    projector = nn.Sequential(nn.Linear(16, 32, bias=False), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 16))
    whiten = nn.BatchNorm1d(16, affine=False)
    watch(encoder=encoder, projector=projector)
    optimizer = torch.optim.SGD([*encoder.parameters(), *projector.parameters()], lr=0.05, momentum=0.9)
    losses = []
    for _ in range(8):
        one, two = (whiten(projector(encoder(view))) for view in _two_views())
        correlation = one.T @ two / 32
        loss = (torch.diagonal(correlation) - 1).pow(2).sum() + 0.005 * _off_diagonal(correlation).pow(2).sum()
        losses.append(update(optimizer, loss))
    return losses


def vicreg(watch: Watch) -> list[float]:
    encoder, expander = mlp(8, 32, 16), mlp(16, 32, 32)
    watch(encoder=encoder, expander=expander)
    optimizer = torch.optim.AdamW([*encoder.parameters(), *expander.parameters()], lr=1e-3)
    losses = []
    for _ in range(8):
        one, two = (expander(encoder(view)) for view in _two_views())
        invariance = fn.mse_loss(one, two)
        spread = sum(fn.relu(1 - torch.sqrt(z.var(0) + 1e-4)).mean() for z in (one, two))
        centred = [z - z.mean(0) for z in (one, two)]
        covariance = sum(_off_diagonal(z.T @ z / 31).pow(2).sum() / 32 for z in centred)
        losses.append(update(optimizer, 25 * invariance + 25 * spread + covariance))
    return losses


def ibot_masked_tokens(watch: Watch) -> list[float]:
    class Tower(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Linear(4, 16)
            self.mask_token = nn.Parameter(torch.zeros(16))
            self.cls_token = nn.Parameter(torch.randn(1, 1, 16) * 0.02)
            self.block = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True)
            self.head = nn.Linear(16, 12)

        def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
            tokens = self.embed(x)
            if mask is not None:
                tokens = torch.where(mask[..., None], self.mask_token, tokens)
            tokens = self.head(self.block(torch.cat([self.cls_token.expand(len(x), -1, -1), tokens], 1)))
            return tokens[:, 0], tokens[:, 1:]

    student = Tower()
    teacher = copy.deepcopy(student)
    teacher.requires_grad_(False)
    watch(student=student)
    optimizer = torch.optim.AdamW(student.parameters(), lr=1e-3)
    losses = []
    for _ in range(8):
        x = torch.randn(8, 6, 4)
        mask = torch.rand(8, 6) < 0.4
        mask[:, 0] = True
        with torch.no_grad():
            whole, parts = teacher(x)
        guess_whole, guess_parts = student(x + 0.1 * torch.randn_like(x), mask)
        loss = -(fn.softmax(whole / 0.04, -1) * fn.log_softmax(guess_whole / 0.1, -1)).sum(-1).mean()
        each = -(fn.softmax(parts / 0.04, -1) * fn.log_softmax(guess_parts / 0.1, -1)).sum(-1)
        losses.append(update(optimizer, loss + (each * mask).sum() / mask.sum()))
        with torch.no_grad():
            for slow, fast in zip(teacher.parameters(), student.parameters(), strict=True):
                slow.mul_(0.99).add_(fast, alpha=0.01)
    return losses


def swav_prototypes_frozen_at_first(watch: Watch) -> list[float]:
    encoder = mlp(8, 32, 16)
    prototypes = nn.Linear(16, 6, bias=False)
    watch(encoder=encoder, prototypes=prototypes)
    optimizer = torch.optim.SGD([*encoder.parameters(), *prototypes.parameters()], lr=0.1, momentum=0.9)
    losses = []
    for step in range(12):
        with torch.no_grad():
            prototypes.weight.copy_(fn.normalize(prototypes.weight, dim=1))
        scores = [prototypes(fn.normalize(encoder(view), dim=1)) for view in _two_views()]
        with torch.no_grad():
            codes = []
            for score in scores:
                q = torch.exp(score / 0.05).T
                q /= q.sum()
                for _ in range(3):
                    q /= q.sum(1, keepdim=True) * 6
                    q /= q.sum(0, keepdim=True) * 32
                codes.append((q * 32).T)
        loss = -sum((codes[1 - i] * fn.log_softmax(scores[i] / 0.1, 1)).sum(1).mean() for i in (0, 1)) / 2
        optimizer.zero_grad()
        loss.backward()
        if step < 2:
            for p in prototypes.parameters():
                p.grad = None
        optimizer.step()
        losses.append(loss.item())
    return losses


def fixmatch_no_confident_sample_at_first(watch: Watch) -> list[float]:
    model = mlp(8, 32, 3)
    watch(model=model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True)
    losses = []
    for _ in range(10):
        x, y = torch.randn(16, 8), torch.randint(0, 3, (16,))
        weak, strong = _two_views()
        with torch.no_grad():
            chance, label = fn.softmax(model(weak), -1).max(-1)
            sure = (chance > 0.8).float()
        unsupervised = (fn.cross_entropy(model(strong), label, reduction="none") * sure).mean()
        losses.append(update(optimizer, fn.cross_entropy(model(x), y) + unsupervised))
    return losses


def deep_cluster_with_a_new_head_each_epoch(watch: Watch) -> list[float]:
    encoder = mlp(8, 32, 16)
    watch(encoder=encoder)
    optimizer = torch.optim.SGD(encoder.parameters(), lr=0.05)
    data = torch.randn(48, 8)
    losses = []
    for _ in range(3):
        with torch.no_grad():
            feature = encoder(data)
            centres = feature[torch.randperm(48)[:4]]
            label = torch.cdist(feature, centres).argmin(1)
        head = nn.Linear(16, 4)
        head_optimizer = torch.optim.SGD(head.parameters(), lr=0.05)
        for part in torch.randperm(48).split(16):
            loss = fn.cross_entropy(head(encoder(data[part])), label[part])
            optimizer.zero_grad()
            head_optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            head_optimizer.step()
            losses.append(loss.item())
    return losses


def contrastive_predictive_coding(watch: Watch) -> list[float]:
    encoder, context = mlp(4, 16, 8), nn.GRU(8, 8, batch_first=True)
    heads = nn.ModuleList(nn.Linear(8, 8, bias=False) for _ in range(2))
    watch(encoder=encoder, context=context, heads=heads)
    optimizer = torch.optim.Adam([*encoder.parameters(), *context.parameters(), *heads.parameters()], lr=1e-3)
    losses = []
    for _ in range(8):
        z = encoder(torch.randn(8, 10, 4).cumsum(1))
        now = context(z)[0][:, 5]
        scores = [head(now) @ z[:, 6 + k].T for k, head in enumerate(heads)]
        losses.append(update(optimizer, sum(fn.cross_entropy(s, torch.arange(8)) for s in scores)))
    return losses


def skip_gram_with_negative_samples(watch: Watch) -> list[float]:
    centre, around = nn.Embedding(60, 12, sparse=True), nn.Embedding(60, 12, sparse=True)
    nn.init.zeros_(around.weight)
    watch(centre=centre, around=around)
    optimizer = torch.optim.SparseAdam([*centre.parameters(), *around.parameters()], lr=0.01)
    losses = []
    for _ in range(8):
        word, near, far = torch.randint(0, 20, (16,)), torch.randint(0, 20, (16,)), torch.randint(0, 60, (16, 5))
        v = centre(word)
        good = fn.logsigmoid((v * around(near)).sum(-1))
        bad = fn.logsigmoid(-(around(far) @ v[..., None]).squeeze(-1)).sum(-1)
        losses.append(update(optimizer, -(good + bad).mean()))
    return losses


def r_drop_and_mixup(watch: Watch) -> list[float]:
    model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Dropout(0.3), nn.Linear(32, 3))
    watch(model=model)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    losses = []
    for _ in range(8):
        x, y = torch.randn(16, 8), fn.one_hot(torch.randint(0, 3, (16,)), 3).float()
        share = float(torch.distributions.Beta(0.4, 0.4).sample())
        other = torch.randperm(16)
        x, y = share * x + (1 - share) * x[other], share * y + (1 - share) * y[other]
        one, two = fn.log_softmax(model(x), -1), fn.log_softmax(model(x), -1)
        apart = fn.kl_div(one, two, log_target=True, reduction="batchmean")
        apart = apart + fn.kl_div(two, one, log_target=True, reduction="batchmean")
        losses.append(update(optimizer, -(y * (one + two)).sum(-1).mean() / 2 + apart / 2))
    return losses


def class_centres_with_their_own_optimizer(watch: Watch) -> list[float]:
    model, head = mlp(8, 32, 4), nn.Linear(4, 3)
    centres = nn.Parameter(torch.randn(3, 4))
    watch(model=model, head=head, centres=[centres])
    optimizer = torch.optim.SGD([*model.parameters(), *head.parameters()], lr=0.05)
    optimizer_centres = torch.optim.SGD([centres], lr=0.5)
    losses, weight = [], 0.1
    for _ in range(8):
        x, y = torch.randn(16, 8), torch.randint(0, 3, (16,))
        feature = model(x)
        loss = fn.cross_entropy(head(feature), y) + weight * (feature - centres[y]).pow(2).sum(1).mean()
        optimizer.zero_grad()
        optimizer_centres.zero_grad()
        loss.backward()
        optimizer.step()
        for p in [centres]:
            p.grad.data *= 1.0 / weight
        optimizer_centres.step()
        losses.append(loss.item())
    return losses


def self_distillation_by_the_deepest_exit(watch: Watch) -> list[float]:
    class EarlyExits(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.blocks = nn.ModuleList(mlp(16, 16, 16) for _ in range(3))
            self.exits = nn.ModuleList(nn.Linear(16, 3) for _ in range(3))
            self.stem = nn.Linear(8, 16)

        def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
            x, answers = self.stem(x), []
            for block, leave in zip(self.blocks, self.exits, strict=True):
                x = x + block(x)
                answers.append(leave(x))
            return answers

    model = EarlyExits()
    watch(model=model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    losses = []
    for _ in range(8):
        x, y = torch.randn(16, 8), torch.randint(0, 3, (16,))
        answers = model(x)
        soft = fn.softmax(answers[-1].detach() / 2, -1)
        loss = fn.cross_entropy(answers[-1], y)
        for early in answers[:-1]:
            loss = (
                loss
                + fn.cross_entropy(early, y)
                + 4 * fn.kl_div(fn.log_softmax(early / 2, -1), soft, reduction="batchmean")
            )
        losses.append(update(optimizer, loss))
    return losses
