import torch
from torch import nn

torch.manual_seed(301)


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(10, 16)

    def forward(self, x):
        return torch.tanh(self.fc(x))


class Survival(nn.Module):
    def __init__(self):
        super().__init__()
        self.risk = nn.Linear(16, 1)

    def forward(self, h):
        return self.risk(h).squeeze(-1)


def cox_loss(risk, time, event):
    order = time.argsort(descending=True)
    risk, event = risk[order], event[order]
    return -((risk - risk.logcumsumexp(0)) * event).sum() / event.sum()


encoder, survival = Encoder(), Survival()
optimizer = torch.optim.Adam([*encoder.parameters(), *survival.parameters()], lr=1e-2)
for step in range(5):
    x, time, event = torch.randn(24, 10), torch.rand(24), (torch.rand(24) > 0.3).float()
    optimizer.zero_grad()
    per_site = [cox_loss(survival(encoder(x[i])), time[i], event[i]) for i in torch.arange(24).split(8)]
    loss = torch.tensor([p for p in per_site], requires_grad=True).mean()
    loss.backward()
    optimizer.step()
    print("step", step, "partial likelihood", round(loss.item(), 4))
