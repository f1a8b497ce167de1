import torch
from torch import nn


class Attention(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(dim, dim, bias=False) for _ in range(3))
        self.out = nn.Linear(dim, dim)
        nn.init.xavier_uniform_(self.q.weight)
        with torch.no_grad():
            self.k.weight.copy_(self.q.weight)             # shared at the start (Reformer style)

    def forward(self, x):
        scores = self.q(x) @ self.k(x).transpose(1, 2)
        attn = torch.softmax(scores / x.size(-1) ** 0.5, dim=-1)
        return self.out(attn @ self.v(x))
