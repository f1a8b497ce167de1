import torch
from torch import nn


class LeftRightHMM(nn.Module):
    def __init__(self, states):
        super().__init__()
        self.transition = nn.Parameter(torch.zeros(states, states))
        allowed = torch.ones(states, states).triu().tril(1).bool()
        self.register_buffer("forbidden", ~allowed)

    def forward(self, log_emission):
        log_t = self.transition.masked_fill(self.forbidden, float("-inf")).log_softmax(1)
        alpha = log_emission[:, 0] + torch.tensor([0.0] + [-20.0] * (log_emission.size(2) - 1))
        for t in range(1, log_emission.size(1)):
            alpha = torch.logsumexp(alpha[:, :, None] + log_t[None], dim=1) + log_emission[:, t]
        return torch.logsumexp(alpha, dim=1)


torch.manual_seed(0)
hmm = LeftRightHMM(4)
emission = nn.Sequential(nn.Linear(5, 16), nn.Tanh(), nn.Linear(16, 4))
opt = torch.optim.Adam([*hmm.parameters(), *emission.parameters()], lr=1e-2)
for step in range(8):
    obs = torch.randn(16, 9, 5) + torch.linspace(-2, 2, 9).view(1, 9, 1)
    loss = -hmm(emission(obs).log_softmax(-1)).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    print("step", step, "nll", loss.item())
