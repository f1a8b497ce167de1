import torch
from torch import nn

torch.manual_seed(1)
START = 1_700_000_000


class TimeEncoder(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.lin = nn.Linear(1, dim)

    def forward(self, seconds):
        return torch.tanh(self.lin(seconds[..., None]))


class ChurnModel(nn.Module):
    def __init__(self, n_events=12, dim=16):
        super().__init__()
        self.event_emb = nn.Embedding(n_events, dim)
        self.time_encoder = TimeEncoder(dim)
        self.head = nn.Linear(dim, 1)

    def forward(self, events, times):
        h = self.event_emb(events) + self.time_encoder(times)
        return self.head(h.mean(1)).squeeze(-1)


def sample(n=32, length=20):
    events = torch.randint(0, 12, (n, length))
    times = START + torch.rand(n, length) * 86400 * 3
    churned = ((times[:, -1] - START) > 43200 * 3).float()
    return events, times, churned


model = ChurnModel()
opt = torch.optim.RMSprop(model.parameters(), lr=1e-3)
for it in range(7):
    events, times, churned = sample()
    loss = nn.functional.binary_cross_entropy_with_logits(model(events, times), churned)
    opt.zero_grad()
    loss.backward()
    opt.step()
    print("iter", it, "loss", round(loss.item(), 4))
