"""Correct loops that train a small part of a large model: adapters, prompts, single rows, biases."""

from __future__ import annotations

import copy
from collections import OrderedDict

import torch
from torch import nn
from torch.nn import functional as fn

from tests.healthy.parts import Watch, batch, fit, mlp, update


class _Dora(nn.Module):
    def __init__(self, base: nn.Linear, rank: int) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)
        self.down = nn.Parameter(torch.randn(rank, base.in_features) / base.in_features**0.5)
        self.up = nn.Parameter(torch.zeros(base.out_features, rank))
        self.magnitude = nn.Parameter(base.weight.norm(dim=1, keepdim=True).clone())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight = self.base.weight + self.up @ self.down
        weight = self.magnitude * weight / weight.norm(dim=1, keepdim=True).detach()
        return fn.linear(x, weight, self.base.bias)


def dora(watch: Watch) -> list[float]:
    model = nn.Sequential(_Dora(nn.Linear(6, 16), 2), nn.Tanh(), _Dora(nn.Linear(16, 3), 2))
    watch(model=model)
    return fit(model, torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2))


class _Vera(nn.Module):
    """Random frozen projections shared by all layers; two vectors a layer are trained."""

    def __init__(self, base: nn.Linear, down: torch.Tensor, up: torch.Tensor) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)
        self.register_buffer("down", down, persistent=False)
        self.register_buffer("up", up, persistent=False)
        self.scale_down = nn.Parameter(torch.full((down.shape[0],), 0.1))
        self.scale_up = nn.Parameter(torch.zeros(up.shape[0]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.base(x) + self.scale_up * (self.scale_down * (x @ self.down.T) @ self.up.T)


def vera(watch: Watch) -> list[float]:
    down, up = torch.randn(4, 16) / 4, torch.randn(16, 4) / 4
    model = nn.Sequential(
        nn.Linear(6, 16).requires_grad_(False), _Vera(nn.Linear(16, 16), down, up), nn.Tanh(),
        _Vera(nn.Linear(16, 16), down, up), nn.Linear(16, 3).requires_grad_(False),
    )  # fmt: skip
    watch(model=model)
    return fit(model, torch.optim.AdamW(filter(lambda p: p.requires_grad, model.parameters()), lr=1e-2))


def bias_terms_only(watch: Watch) -> list[float]:
    model = nn.Sequential(nn.Linear(6, 16), nn.LayerNorm(16), nn.GELU(), nn.Linear(16, 3))
    for name, p in model.named_parameters():
        p.requires_grad = "bias" in name
    watch(model=model)
    return fit(model, torch.optim.SGD(model.parameters(), lr=0.1))


class _Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v = nn.Linear(16, 16), nn.Linear(16, 16), nn.Linear(16, 16)

    def forward(self, x: torch.Tensor, prefix: torch.Tensor | None = None) -> torch.Tensor:
        q, k, v = self.q(x), self.k(x), self.v(x)
        if prefix is not None:
            k = torch.cat([prefix[0].expand(len(x), -1, -1), k], 1)
            v = torch.cat([prefix[1].expand(len(x), -1, -1), v], 1)
        return x + fn.scaled_dot_product_attention(q, k, v)


class _Reader(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(40, 16)
        self.layers = nn.ModuleList(_Attention() for _ in range(2))
        self.out = nn.Linear(16, 40)

    def forward(self, x: torch.Tensor, prefixes: torch.Tensor | None = None) -> torch.Tensor:
        h = self.embed(x) if not x.is_floating_point() else x
        for i, layer in enumerate(self.layers):
            h = layer(h, None if prefixes is None else prefixes[i])
        return self.out(h)


def prefix_tuning_through_a_network(watch: Watch) -> list[float]:
    model = _Reader().requires_grad_(False)
    prefix, expand = nn.Embedding(4, 8), mlp(8, 32, 2 * 2 * 16)
    watch(model=model, prefix=prefix, expand=expand)
    optimizer = torch.optim.AdamW([*prefix.parameters(), *expand.parameters()], lr=1e-2)
    losses = []
    for _ in range(8):
        x = torch.randint(0, 40, (8, 6))
        prefixes = expand(prefix(torch.arange(4))).view(4, 2, 2, 16).permute(1, 2, 0, 3)
        logits = model(x[:, :-1], prefixes)
        losses.append(update(optimizer, fn.cross_entropy(logits.flatten(0, 1), x[:, 1:].flatten())))
    return losses


def soft_prompt_before_the_words(watch: Watch) -> list[float]:
    model = _Reader().eval()
    for p in model.parameters():
        p.requires_grad_(False)
    prompt = nn.Parameter(model.embed.weight[:3].detach().clone())
    watch(prompt=[prompt])
    optimizer = torch.optim.Adam([prompt], lr=1e-2)
    losses = []
    for _ in range(8):
        x = torch.randint(0, 40, (8, 6))
        h = torch.cat([prompt.expand(8, -1, -1), model.embed(x)], 1)
        logits = model(h)[:, 3:-1]
        losses.append(update(optimizer, fn.cross_entropy(logits.flatten(0, 1), x[:, 1:].flatten())))
    return losses


def textual_inversion_of_one_row(watch: Watch) -> list[float]:
    model = _Reader()
    model.requires_grad_(False)
    model.embed.weight.requires_grad_(True)
    watch(model=model)
    original = model.embed.weight.detach().clone()
    optimizer = torch.optim.AdamW(model.embed.parameters(), lr=1e-2)
    others = torch.arange(40) != 39
    losses = []
    for _ in range(8):
        x = torch.randint(0, 39, (8, 6))
        x[:, 2] = 39
        loss = fn.cross_entropy(model(x[:, :-1]).flatten(0, 1), x[:, 1:].flatten())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        with torch.no_grad():
            model.embed.weight[others] = original[others]
        losses.append(loss.item())
    return losses


def subject_tuning_with_prior_loss(watch: Watch) -> list[float]:
    denoiser, text = mlp(8 + 4 + 1, 32, 8), nn.Embedding(3, 4)
    prior = copy.deepcopy(denoiser).eval().requires_grad_(False)
    watch(denoiser=denoiser, text=text)
    optimizer = torch.optim.AdamW([*denoiser.parameters(), *text.parameters()], lr=1e-3)
    losses = []
    for _ in range(8):
        subject, t = torch.randn(4, 8) + 1, torch.rand(8, 1)
        with torch.no_grad():
            generated = prior(torch.cat([torch.randn(4, 8), text(torch.ones(4, dtype=torch.long)), t[:4]], 1))
        x, noise = torch.cat([subject, generated]), torch.randn(8, 8)
        word = text(torch.tensor([0] * 4 + [1] * 4))
        guess = denoiser(torch.cat([(1 - t) * x + t * noise, word, t], 1))
        mine, before = guess.chunk(2)
        target, target_before = noise.chunk(2)
        losses.append(update(optimizer, fn.mse_loss(mine, target) + fn.mse_loss(before, target_before)))
    return losses


def control_branch_with_zero_convolutions(watch: Watch) -> list[float]:
    class Control(nn.Module):
        def __init__(self, base: nn.Sequential) -> None:
            super().__init__()
            self.copied = copy.deepcopy(base)
            self.entry, self.leave = nn.Conv1d(1, 1, 1), nn.Conv1d(1, 1, 1)
            for conv in (self.entry, self.leave):
                for p in conv.parameters():
                    nn.init.zeros_(p)

        def forward(self, x: torch.Tensor, hint: torch.Tensor) -> torch.Tensor:
            return self.leave(self.copied(x + self.entry(hint)))

    base = nn.Sequential(nn.Conv1d(1, 1, 3, padding=1), nn.SiLU())
    head = nn.Linear(8, 8)
    control = Control(base)
    base.requires_grad_(False)
    head.requires_grad_(False)
    watch(control=control)
    optimizer = torch.optim.AdamW(control.parameters(), lr=1e-2)
    losses = []
    for _ in range(10):
        x, hint = torch.randn(8, 1, 8), torch.randn(8, 1, 8)
        losses.append(update(optimizer, fn.mse_loss(head(base(x) + control(x, hint)), x + hint)))
    return losses


def adapters_merged_and_started_again(watch: Watch) -> list[float]:
    base = nn.Linear(6, 3).requires_grad_(False)
    losses = []
    for _ in range(2):
        down, up = nn.Parameter(torch.randn(2, 6)), nn.Parameter(torch.zeros(3, 2))
        optimizer = torch.optim.Adam([down, up], lr=1e-2)
        for _ in range(5):
            x, y = batch()
            losses.append(update(optimizer, fn.cross_entropy(base(x) + x @ down.T @ up.T, y)))
        with torch.no_grad():
            base.weight += up @ down
    return losses


def adapter_chosen_by_task(watch: Watch) -> list[float]:
    body = mlp(6, 16, 16).requires_grad_(False)
    adapters = nn.ModuleDict(OrderedDict((name, mlp(16, 4, 16)) for name in ("sentiment", "topic", "spam")))
    heads = nn.ModuleDict(OrderedDict((name, nn.Linear(16, 3)) for name in ("sentiment", "topic", "spam")))
    watch(adapters=adapters, heads=heads)
    optimizers = {n: torch.optim.Adam([*adapters[n].parameters(), *heads[n].parameters()], lr=1e-3) for n in adapters}
    losses = []
    for name in ("sentiment", "topic", "topic", "spam", "sentiment", "spam", "spam", "topic", "sentiment"):
        x, y = batch()
        hidden = body(x)
        losses.append(update(optimizers[name], fn.cross_entropy(heads[name](hidden + adapters[name](hidden)), y)))
    return losses


def ia3_vectors_that_start_at_one(watch: Watch) -> list[float]:
    class Scaled(nn.Module):
        def __init__(self, base: nn.Linear) -> None:
            super().__init__()
            self.base = base.requires_grad_(False)
            self.vector = nn.Parameter(torch.ones(base.out_features))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.base(x) * self.vector

    model = nn.Sequential(Scaled(nn.Linear(6, 16)), nn.ReLU(), Scaled(nn.Linear(16, 3)))
    watch(model=model)
    return fit(model, torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2))


def side_network_beside_a_frozen_backbone(watch: Watch) -> list[float]:
    backbone = nn.ModuleList(mlp(16, 16, 16) for _ in range(3)).requires_grad_(False)
    stem = nn.Linear(6, 16).requires_grad_(False)
    side, gates, head = nn.ModuleList(nn.Linear(4, 4) for _ in range(3)), nn.Parameter(torch.zeros(3)), nn.Linear(4, 3)
    down = nn.ModuleList(nn.Linear(16, 4) for _ in range(3))
    watch(side=side, down=down, head=head, gates=[gates])
    optimizer = torch.optim.Adam([*side.parameters(), *down.parameters(), *head.parameters(), gates], lr=1e-2)
    losses = []
    for _ in range(8):
        x, y = batch()
        with torch.no_grad():
            h, seen = stem(x), []
            for block in backbone:
                h = h + block(h)
                seen.append(h)
        s = torch.zeros(16, 4)
        for i, block in enumerate(side):
            gate = torch.sigmoid(gates[i])
            s = s + torch.tanh(block(gate * down[i](seen[i]) + (1 - gate) * s))
        losses.append(update(optimizer, fn.cross_entropy(head(s), y)))
    return losses


class _Words(nn.Module):
    def __init__(self, table: nn.Embedding) -> None:
        super().__init__()
        self.table, self.head = table, nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.table((x > 0).long() + torch.arange(6) * 2).mean(1))


def pretrained_words_that_stay_as_they_are(watch: Watch) -> list[float]:
    model = _Words(nn.Embedding.from_pretrained(torch.randn(12, 8)))
    watch(model=model)
    return fit(model, torch.optim.Adam(model.parameters(), lr=1e-2))


def pretrained_words_frozen_on_request(watch: Watch) -> list[float]:
    model = _Words(nn.Embedding.from_pretrained(torch.randn(12, 8), freeze=True))
    watch(model=model)
    groups = [{"params": model.table.parameters(), "lr": 1e-4}, {"params": model.head.parameters()}]
    return fit(model, torch.optim.Adam(groups, lr=1e-2))
