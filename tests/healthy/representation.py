"""Correct loops that learn representations: two views, teachers, targets that move slowly."""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.nn import functional as fn

from tests.healthy.parts import Watch, mlp


def _augment(x: torch.Tensor) -> torch.Tensor:
    return x + 0.1 * torch.randn_like(x)


@torch.no_grad()
def _follow(target: nn.Module, online: nn.Module, tau: float) -> None:
    for slow, fast in zip(target.parameters(), online.parameters(), strict=True):
        slow.data = tau * slow.data + (1 - tau) * fast.data


def byol(watch: Watch) -> list[float]:
    encoder = nn.Sequential(nn.Linear(8, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 16))
    predictor = mlp(16, 32, 16)
    target = copy.deepcopy(encoder)
    for p in target.parameters():
        p.requires_grad = False
    watch(encoder=encoder, predictor=predictor)
    optimizer = torch.optim.SGD([*encoder.parameters(), *predictor.parameters()], lr=0.05, momentum=0.9)
    losses = []
    for _ in range(10):
        x = torch.randn(32, 8)
        one, two = _augment(x), _augment(x)
        with torch.no_grad():
            target_one, target_two = target(one), target(two)
        loss = 4 - 2 * fn.cosine_similarity(predictor(encoder(one)), target_two).mean()
        loss = loss - 2 * fn.cosine_similarity(predictor(encoder(two)), target_one).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        _follow(target, encoder, 0.99)
        losses.append(loss.item())
    return losses


def byol_target_left_trainable(watch: Watch) -> list[float]:
    encoder, predictor = mlp(8, 32, 16), mlp(16, 32, 16)
    target = copy.deepcopy(encoder)
    watch(encoder=encoder, predictor=predictor)
    optimizer = torch.optim.Adam([*encoder.parameters(), *predictor.parameters()], lr=1e-3)
    losses = []
    for _ in range(10):
        x = torch.randn(32, 8)
        loss = -fn.cosine_similarity(predictor(encoder(_augment(x))), target(_augment(x)).detach()).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        _follow(target, encoder, 0.99)
        losses.append(loss.item())
    return losses


def simsiam(watch: Watch) -> list[float]:
    encoder = nn.Sequential(nn.Linear(8, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 16))
    predictor = mlp(16, 8, 16)
    watch(encoder=encoder, predictor=predictor)
    optimizer = torch.optim.SGD([*encoder.parameters(), *predictor.parameters()], lr=0.05, momentum=0.9)
    losses = []
    for _ in range(10):
        x = torch.randn(32, 8)
        z1, z2 = encoder(_augment(x)), encoder(_augment(x))
        p1, p2 = predictor(z1), predictor(z2)
        loss = -(fn.cosine_similarity(p1, z2.detach()).mean() + fn.cosine_similarity(p2, z1.detach()).mean()) / 2
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


class _DinoHead(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = mlp(8, 32, 16)
        self.last = nn.utils.parametrizations.weight_norm(nn.Linear(16, 24, bias=False))
        self.last.parametrizations.weight.original0.data.fill_(1)
        self.last.parametrizations.weight.original0.requires_grad = False

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(fn.normalize(self.body(x), dim=-1))


def dino(watch: Watch) -> list[float]:
    student, teacher = _DinoHead(), _DinoHead()
    teacher.load_state_dict(student.state_dict())
    teacher.requires_grad_(False)
    watch(student=student)
    optimizer = torch.optim.AdamW([p for p in student.parameters() if p.requires_grad], lr=1e-3)
    center = torch.zeros(24)
    losses = []
    for epoch in range(10):
        x = torch.randn(32, 8)
        views = [_augment(x) for _ in range(4)]
        with torch.no_grad():
            targets = [fn.softmax((teacher(v) - center) / 0.04, -1) for v in views[:2]]
        loss = torch.zeros(())
        for i, target in enumerate(targets):
            for j, view in enumerate(views):
                if i != j:
                    loss = loss - (target * fn.log_softmax(student(view) / 0.1, -1)).sum(-1).mean() / 6
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(student.parameters(), 3.0)
        if epoch < 2:
            for name, p in student.named_parameters():
                if name.startswith("last"):
                    p.grad = None
        optimizer.step()
        with torch.no_grad():
            _follow(teacher, student, 0.996)
            center = 0.9 * center + 0.1 * torch.cat([teacher(v) for v in views[:2]]).mean(0)
        losses.append(loss.item())
    return losses


def clip(watch: Watch) -> list[float]:
    images = nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 16))
    texts = nn.EmbeddingBag(50, 16)
    scale = nn.Parameter(torch.tensor(2.66))
    watch(images=images, texts=texts, scale=[scale])
    optimizer = torch.optim.AdamW([*images.parameters(), *texts.parameters(), scale], lr=1e-3)
    labels = torch.arange(16)
    losses = []
    for _ in range(8):
        image = fn.normalize(images(torch.randn(16, 3, 8, 8)), dim=-1)
        text = fn.normalize(texts(torch.randint(0, 50, (16, 5))), dim=-1)
        logits = scale.exp() * image @ text.T
        loss = (fn.cross_entropy(logits, labels) + fn.cross_entropy(logits.T, labels)) / 2
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            scale.clamp_(0, 4.6052)
        losses.append(loss.item())
    return losses


def momentum_contrast_queue(watch: Watch) -> list[float]:
    query_net = mlp(8, 32, 16)
    key_net = copy.deepcopy(query_net).requires_grad_(False)
    queue = fn.normalize(torch.randn(64, 16), dim=1)
    watch(query_net=query_net)
    optimizer = torch.optim.SGD(query_net.parameters(), lr=0.03, momentum=0.9, weight_decay=1e-4)
    losses = []
    for step in range(10):
        x = torch.randn(16, 8)
        q = fn.normalize(query_net(_augment(x)), dim=1)
        with torch.no_grad():
            _follow(key_net, query_net, 0.99)
            k = fn.normalize(key_net(_augment(x)), dim=1)
        positive = (q * k).sum(1, keepdim=True)
        logits = torch.cat([positive, q @ queue.clone().detach().T], 1) / 0.07
        loss = fn.cross_entropy(logits, torch.zeros(16, dtype=torch.long))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        at = step * 16 % 64
        queue[at : at + 16] = k
        losses.append(loss.item())
    return losses


def distillation(watch: Watch) -> list[float]:
    teacher, student = mlp(8, 64, 5), mlp(8, 16, 5)
    watch(student=student)
    pretrain = torch.optim.Adam(teacher.parameters(), lr=1e-3)
    for _ in range(4):
        pretrain.zero_grad()
        fn.cross_entropy(teacher(torch.randn(16, 8)), torch.randint(0, 5, (16,))).backward()
        pretrain.step()
    teacher.eval()
    optimizer = torch.optim.Adam(student.parameters(), lr=1e-3)
    losses = []
    for _ in range(8):
        x, y = torch.randn(16, 8), torch.randint(0, 5, (16,))
        with torch.no_grad():
            soft = fn.softmax(teacher(x) / 4, -1)
        logits = student(x)
        loss = 16 * fn.kl_div(fn.log_softmax(logits / 4, -1), soft, reduction="batchmean") + fn.cross_entropy(logits, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def hint_distillation_with_regressor(watch: Watch) -> list[float]:
    teacher, body, head, regressor = (
        mlp(8, 32, 32).requires_grad_(False),
        mlp(8, 16, 16),
        nn.Linear(16, 3),
        nn.Linear(16, 32),
    )
    watch(body=body, head=head, regressor=regressor)
    optimizer = torch.optim.Adam([*body.parameters(), *head.parameters(), *regressor.parameters()], lr=1e-3)
    losses = []
    for _ in range(8):
        x = torch.randn(16, 8)
        feature = body(x)
        loss = fn.mse_loss(regressor(feature), teacher(x)) + fn.cross_entropy(head(feature), torch.randint(0, 3, (16,)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss))
    return losses


def hard_negative_mining(watch: Watch) -> list[float]:
    embed = mlp(8, 32, 8)
    watch(embed=embed)
    optimizer = torch.optim.Adam(embed.parameters(), lr=1e-3)
    bank, labels = torch.randn(64, 8), torch.arange(64) % 4
    losses = []
    for _ in range(10):
        pick = torch.randperm(64)[:24]
        z, y = fn.normalize(embed(bank[pick]), dim=1), labels[pick]
        with torch.no_grad():
            distance = torch.cdist(z, z)
            same = y[:, None] == y[None]
            positive = distance.masked_fill(~same, -1).argmax(1)
            negative = distance.masked_fill(same, 9).argmin(1)
        loss = fn.triplet_margin_loss(z, z[positive], z[negative], margin=0.2)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def masked_autoencoder(watch: Watch) -> list[float]:
    encoder = mlp(4, 32, 16)
    decoder = nn.Sequential(nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), nn.Linear(16, 4))
    token = nn.Parameter(torch.zeros(16))
    watch(encoder=encoder, decoder=decoder, token=[token])
    optimizer = torch.optim.AdamW([*encoder.parameters(), *decoder.parameters(), token], lr=1e-3)
    losses = []
    for _ in range(8):
        x = torch.randn(8, 12, 4)
        keep = torch.rand(8, 12) < 0.25
        keep[:, 0] = True
        latent = token.expand(8, 12, 16).clone()
        latent[keep] = encoder(x[keep])
        loss = ((decoder(latent) - x) ** 2).mean(-1)[~keep].mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses
