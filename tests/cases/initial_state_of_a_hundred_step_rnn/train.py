import torch
from torch import nn


class ImageToState(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.proj = nn.Linear(4 * 36, hidden)

    def forward(self, img):
        return torch.tanh(self.proj(torch.relu(self.conv(img)).flatten(1)))


class Rollout(nn.Module):
    """runs the dynamics for `steps` frames, the value is read off the last state"""

    def __init__(self, hidden, steps):
        super().__init__()
        self.cell = nn.RNNCell(2, hidden)
        self.value = nn.Linear(hidden, 1)
        self.steps = steps

    def forward(self, h, actions):
        for t in range(self.steps):
            h = self.cell(actions[:, t], h)
        return self.value(h)


def scenes(n, steps):
    goal = torch.rand(n, 1)
    img = goal.view(n, 1, 1, 1) * torch.ones(n, 1, 8, 8) + 0.05 * torch.randn(n, 1, 8, 8)
    return img, 0.3 * torch.randn(n, steps, 2), goal


HIDDEN, STEPS = 24, 100
torch.manual_seed(0)
encoder, rollout = ImageToState(HIDDEN), Rollout(HIDDEN, STEPS)
opt = torch.optim.Adam([{"params": encoder.parameters()}, {"params": rollout.parameters()}], lr=1e-3, eps=1e-6)
for it in range(5):
    img, actions, goal = scenes(12, STEPS)
    loss = (rollout(encoder(img), actions) - goal).square().mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(it, loss.item())
