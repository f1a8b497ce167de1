import contextlib
import torch
from torch import nn
import torch.nn.functional as F


class LoRALinear(nn.Linear):
    def __init__(self, *args, rank=4, alpha=8, **kwargs):
        super().__init__(*args, **kwargs)
        self.lora_A = nn.Parameter(torch.randn(rank, self.in_features) / self.in_features ** 0.5)
        self.lora_B = nn.Parameter(torch.zeros(self.out_features, rank))
        self.scaling, self.enabled = alpha / rank, True

    def forward(self, x):
        out = super().forward(x)
        if self.enabled:
            out = out + (x @ self.lora_A.t() @ self.lora_B.t()) * self.scaling
        return out


class Layer(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.qkv, self.proj = LoRALinear(d, 3 * d), nn.Linear(d, d)
        self.fc, self.back = LoRALinear(d, 2 * d), nn.Linear(2 * d, d)

    def forward(self, x, bias):
        q, k, v = self.qkv(self.norm1(x)).chunk(3, dim=-1)
        x = x + self.proj((q @ k.transpose(1, 2) / q.shape[-1] ** 0.5 + bias).softmax(-1) @ v)
        return x + self.back(F.gelu(self.fc(self.norm2(x))))


class Policy(nn.Module):
    def __init__(self, vocab, d=24, depth=2):
        super().__init__()
        self.embed = nn.Embedding(vocab, d, padding_idx=0)
        self.layers = nn.ModuleList(Layer(d) for _ in range(depth))
        self.lm_head = nn.Linear(d, vocab, bias=False)
        self.lm_head.weight = self.embed.weight

    def forward(self, ids):
        t = ids.shape[1]
        bias = torch.full((t, t), torch.finfo(torch.float32).min).triu(1)
        x = self.embed(ids)
        for layer in self.layers:
            x = layer(x, bias)
        return self.lm_head(x)

    @contextlib.contextmanager
    def disable_adapters(self):
        adapters = [m for m in self.modules() if isinstance(m, LoRALinear)]
        for m in adapters:
            m.enabled = False
        try:
            yield self
        finally:
            for m in adapters:
                m.enabled = True
