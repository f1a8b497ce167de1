import torch
from torch import nn

torch.manual_seed(0)


class UserModel(nn.Module):
    def __init__(self, items=50, dim=16):
        super().__init__()
        self.items = nn.Embedding(items, dim)
        self.query = nn.Parameter(torch.randn(1, 1, dim) * 0.2)
        self.attend = nn.MultiheadAttention(dim, 2, batch_first=True)
        self.default = nn.Parameter(torch.zeros(dim))

    def forward(self, history, lengths):
        pad = torch.arange(history.size(1)) >= lengths.clamp(min=1)[:, None]
        q = self.query.expand(len(history), -1, -1)
        keys = self.items(history)
        out, weights = self.attend(q, keys, keys, key_padding_mask=pad)
        out = out.squeeze(1)
        return torch.where((lengths == 0)[:, None], self.default, out)


class Ranker(nn.Module):
    def __init__(self, dim=16):
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(2 * dim, 32), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, user, item):
        return self.mlp(torch.cat([user, item], -1)).squeeze(-1)


users, rank = UserModel(), Ranker()
candidate = nn.Embedding(50, 16)
opt = torch.optim.Adam([*users.parameters(), *rank.parameters(), *candidate.parameters()], lr=1e-3)
for day in range(6):
    history = torch.randint(0, 50, (24, 7))
    lengths = torch.randint(1, 8, (24,))
    if day >= 2:
        lengths[5] = 0                                     # a user who signed up today
    item = torch.randint(0, 50, (24,))
    clicked = (item % 7 == history[:, 0] % 7).float()
    loss = nn.functional.binary_cross_entropy_with_logits(rank(users(history, lengths), candidate(item)), clicked)
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(day, loss.item())
