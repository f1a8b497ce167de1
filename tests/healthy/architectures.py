"""Correct loops with particular networks: experts, adapters, graphs, recurrences, tied and reparametrised weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional as fn
from torch.nn.utils import parametrizations, parametrize, prune
from torch.utils.checkpoint import checkpoint, checkpoint_sequential

from tests.healthy.parts import Watch, fit, mlp


class _Lora(nn.Module):
    def __init__(self, base: nn.Linear, rank: int = 4) -> None:
        super().__init__()
        self.base = base
        self.base.requires_grad_(False)
        self.down = nn.Parameter(torch.randn(rank, base.in_features) * 0.01)
        self.up = nn.Parameter(torch.zeros(base.out_features, rank))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.base(x) + x @ self.down.T @ self.up.T


def lora(watch: Watch) -> list[float]:
    model = nn.Sequential(_Lora(nn.Linear(6, 16)), nn.ReLU(), _Lora(nn.Linear(16, 3)))
    watch(model=model)
    return fit(model, torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2))


def adapters_with_all_parameters_in_the_optimizer(watch: Watch) -> list[float]:
    model = nn.Sequential(_Lora(nn.Linear(6, 16)), nn.ReLU(), _Lora(nn.Linear(16, 3)))
    watch(model=model)
    return fit(model, torch.optim.AdamW(model.parameters(), lr=1e-2))


class _Experts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.router = nn.Linear(6, 4)
        self.experts = nn.ModuleList(mlp(6, 8, 6) for _ in range(4))
        self.head = nn.Linear(6, 3)
        self.balance = torch.zeros(())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        odds = self.router(x).softmax(-1)
        weight, chosen = odds.topk(2, -1)
        weight = weight / weight.sum(-1, keepdim=True)
        out = torch.zeros_like(x)
        for index, expert in enumerate(self.experts):
            row, slot = (chosen == index).nonzero(as_tuple=True)
            if len(row):
                out.index_add_(0, row, weight[row, slot, None] * expert(x[row]))
        share = fn.one_hot(chosen[:, 0], 4).float().mean(0)
        self.balance = 4 * (share * odds.mean(0)).sum()
        return self.head(x + out)


def mixture_of_experts(watch: Watch) -> list[float]:
    model = _Experts()
    watch(model=model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    losses = []
    for _ in range(8):
        loss = fn.cross_entropy(model(torch.randn(16, 6)), torch.randint(0, 3, (16,))) + 0.01 * model.balance
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def graph_network_with_scatter(watch: Watch) -> list[float]:
    message, update, readout = mlp(8, 16, 8), nn.GRUCell(8, 4), nn.Linear(4, 2)
    watch(message=message, update=update, readout=readout)
    optimizer = torch.optim.Adam([*message.parameters(), *update.parameters(), *readout.parameters()], lr=1e-3)
    losses = []
    for _ in range(6):
        nodes, source, target = torch.randn(20, 4), torch.randint(0, 20, (60,)), torch.randint(0, 20, (60,))
        graph = torch.arange(20) // 5
        for _ in range(2):
            sent = message(torch.cat([nodes[source], nodes[target]], 1))
            gathered = torch.zeros(20, 8).scatter_add_(0, target[:, None].expand(-1, 8), sent)
            degree = torch.zeros(20).scatter_add_(0, target, torch.ones(60)).clamp(min=1)
            nodes = update(gathered / degree[:, None], nodes)
        pooled = torch.zeros(4, 4).index_add(0, graph, nodes)
        loss = fn.cross_entropy(readout(pooled), torch.randint(0, 2, (4,)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


class _Language(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(20, 16, padding_idx=0)
        self.body = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
        self.head = nn.Linear(16, 20, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        mask = nn.Transformer.generate_square_subsequent_mask(tokens.shape[1])
        padding = torch.zeros(tokens.shape).masked_fill(tokens == 0, float("-inf"))
        return self.head(self.body(self.embed(tokens), src_mask=mask, src_key_padding_mask=padding, is_causal=True))


def tied_weights_and_padding(watch: Watch) -> list[float]:
    model = _Language()
    watch(model=model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    losses = []
    for _ in range(6):
        tokens = torch.randint(1, 20, (8, 10))
        tokens[:3, 7:] = 0
        logits = model(tokens[:, :-1])
        loss = fn.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten(), ignore_index=0, label_smoothing=0.1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def truncated_backpropagation(watch: Watch) -> list[float]:
    rnn, head = nn.LSTM(3, 16, batch_first=True), nn.Linear(16, 2)
    watch(rnn=rnn, head=head)
    optimizer = torch.optim.Adam([*rnn.parameters(), *head.parameters()], lr=1e-3)
    state, losses = None, []
    for chunk in torch.randn(4, 60, 3).split(10, 1):
        out, state = rnn(chunk, state)
        loss = fn.mse_loss(head(out), torch.randn(4, 10, 2))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        state = tuple(s.detach() for s in state)
        losses.append(loss.item())
    return losses


class _UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down1, self.down2 = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 16, 3, padding=1)
        self.up = nn.ConvTranspose2d(16, 8, 2, 2)
        self.out, self.side = nn.Conv2d(16, 1, 1), nn.Conv2d(16, 1, 1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        one = torch.relu(self.down1(x))
        two = torch.relu(self.down2(fn.max_pool2d(one, 2)))
        joined = torch.cat([one, self.up(two)], 1)
        return self.out(joined), self.side(two)


def unet_with_deep_supervision(watch: Watch) -> list[float]:
    model = _UNet()
    watch(model=model)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    losses = []
    for _ in range(5):
        x = torch.randn(4, 1, 8, 8)
        y = (x > 0).float()
        full, half = model(x)
        loss = fn.binary_cross_entropy_with_logits(full, y)
        loss = loss + 0.5 * fn.binary_cross_entropy_with_logits(half, fn.interpolate(y, scale_factor=0.5))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


class _Checkpointed(nn.Module):
    def __init__(self, *, reentrant: bool) -> None:
        super().__init__()
        self.first, self.blocks, self.head = (
            nn.Linear(6, 8),
            nn.ModuleList(mlp(8, 16, 8) for _ in range(3)),
            nn.Linear(8, 3),
        )
        self.reentrant = reentrant

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        for block in self.blocks:
            x = x + checkpoint(block, x, use_reentrant=self.reentrant)
        return self.head(x)


def checkpointing(watch: Watch) -> list[float]:
    model = _Checkpointed(reentrant=False)
    watch(model=model)
    return fit(model, torch.optim.Adam(model.parameters(), lr=1e-3))


def checkpointing_reentrant(watch: Watch) -> list[float]:
    model = _Checkpointed(reentrant=True)
    watch(model=model)
    return fit(model, torch.optim.Adam(model.parameters(), lr=1e-3))


def checkpointing_sequential(watch: Watch) -> list[float]:
    stem, body = (
        nn.Linear(6, 8),
        nn.Sequential(*(nn.Sequential(nn.Linear(8, 8), nn.Tanh()) for _ in range(4)), nn.Linear(8, 3)),
    )
    watch(stem=stem, body=body)
    optimizer = torch.optim.Adam([*stem.parameters(), *body.parameters()], lr=1e-3)
    return fit(lambda x: checkpoint_sequential(body, 2, stem(x), use_reentrant=False), optimizer)


def weight_norm(watch: Watch) -> list[float]:
    model = nn.Sequential(
        parametrizations.weight_norm(nn.Linear(6, 16)), nn.ReLU(), parametrizations.weight_norm(nn.Linear(16, 3))
    )
    watch(model=model)
    return fit(model, torch.optim.Adam(model.parameters(), lr=1e-3))


class _Symmetric(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.triu() + x.triu(1).mT


def parametrised_weights(watch: Watch) -> list[float]:
    model = nn.Sequential(nn.Linear(6, 6), nn.Tanh(), parametrizations.orthogonal(nn.Linear(6, 6)), nn.Linear(6, 3))
    parametrize.register_parametrization(model[0], "weight", _Symmetric())
    watch(model=model)
    return fit(model, torch.optim.Adam(model.parameters(), lr=1e-3))


def pruning(watch: Watch) -> list[float]:
    model = mlp(6, 16, 3)
    watch(model=model)
    losses = fit(model, torch.optim.Adam(model.parameters(), lr=1e-3))
    prune.l1_unstructured(model[0], "weight", amount=0.5)
    prune.random_structured(model[2], "weight", amount=0.25, dim=1)
    losses += fit(model, torch.optim.Adam(model.parameters(), lr=1e-3))
    prune.remove(model[0], "weight")
    prune.remove(model[2], "weight")
    return losses


def per_sample_gradients(watch: Watch) -> list[float]:
    model = mlp(6, 16, 3)
    watch(model=model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def loss_of(params: dict[str, torch.Tensor], x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return fn.cross_entropy(functional_call(model, params, (x[None],)), y[None])

    sizes = []
    for _ in range(6):
        x, y = torch.randn(8, 6), torch.randint(0, 3, (8,))
        params = {name: p.detach() for name, p in model.named_parameters()}
        grads = vmap(grad(loss_of), in_dims=(None, 0, 0))(params, x, y)
        norms = torch.stack([g.flatten(1).norm(dim=1) for g in grads.values()]).norm(dim=0)
        factor = (1.0 / (norms + 1e-6)).clamp(max=1.0)
        for name, p in model.named_parameters():
            clipped = torch.einsum("b,b...->...", factor, grads[name])
            p.grad = (clipped + 0.01 * torch.randn_like(clipped)) / 8
        optimizer.step()
        sizes.append(norms.mean().item())
    return sizes


class _RoundThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x.round()

    @staticmethod
    def backward(ctx: Any, grad_output: torch.Tensor) -> torch.Tensor:
        return grad_output


def straight_through_quantisation(watch: Watch) -> list[float]:
    encoder, decoder = mlp(6, 16, 4), mlp(4, 16, 3)
    watch(encoder=encoder, decoder=decoder)
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=1e-3)
    return fit(lambda x: decoder(_RoundThrough.apply(3 * encoder(x))), optimizer)
