import torch
from torch import nn
import torch.nn.functional as F


class Router(nn.Module):
    def __init__(self, dim, experts, capacity_factor):
        super().__init__()
        self.linear = nn.Linear(dim, experts, bias=False)
        self.experts, self.capacity_factor = experts, capacity_factor

    def forward(self, tokens):
        n = len(tokens)
        capacity = int(self.capacity_factor * n / self.experts)
        probs = self.linear(tokens).softmax(dim=-1)
        gate, chosen = probs.max(dim=-1)
        onehot = F.one_hot(chosen, self.experts).float()
        # queue position of each token, experts are filled one after the other
        order = onehot.cumsum(0)
        position = (order - 1) * onehot
        fits = onehot * (position < capacity)
        slot = F.one_hot(position.sum(-1).long().clamp(max=capacity - 1), capacity).float()
        dispatch = fits.unsqueeze(-1) * slot.unsqueeze(1)
        combine = dispatch * gate[:, None, None]
        balance = self.experts * (onehot.mean(0) * probs.mean(0)).sum()
        return dispatch, combine, balance


class SwitchFFN(nn.Module):
    def __init__(self, dim, hidden, experts, capacity_factor=1.25):
        super().__init__()
        self.router = Router(dim, experts, capacity_factor)
        self.experts = nn.ModuleList(nn.Sequential(nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, dim)) for _ in range(experts))

    def forward(self, x):
        tokens = x.reshape(-1, x.shape[-1])
        dispatch, combine, balance = self.router(tokens)
        queued = torch.einsum("nec,nd->ecd", dispatch, tokens)
        processed = torch.stack([expert(q) for expert, q in zip(self.experts, queued)])
        return torch.einsum("nec,ecd->nd", combine, processed).view_as(x), balance
