import numpy as np
import torch
from torch import nn
import torch.nn.functional as F
from torch.distributions import Normal

torch.manual_seed(44)
PATCH, SIZE, STD = 5, 12, 0.2
glimpse_net = nn.Sequential(nn.Linear(PATCH * PATCH + 2, 32), nn.ReLU())
core = nn.GRUCell(32, 32)
locator, baseline, classifier = nn.Linear(32, 2), nn.Linear(32, 1), nn.Linear(32, 3)
modules = nn.ModuleList([glimpse_net, core, locator, baseline, classifier])
optimizer = torch.optim.Adam(modules.parameters(), lr=3e-3)


def extract_patch(images, loc):
    """Cuts a PATCH x PATCH window around loc in [-1, 1]; not differentiable in loc."""
    corner = ((loc.numpy() + 1) / 2 * (SIZE - PATCH)).astype(np.int64)
    rows = [im[y:y + PATCH, x:x + PATCH] for im, (x, y) in zip(images.numpy(), corner)]
    return torch.from_numpy(np.stack(rows)).flatten(1)


def rollout(images, n_glimpses=4):
    h = torch.zeros(len(images), 32)
    loc = torch.zeros(len(images), 2)
    log_pis, baselines = [], []
    for _ in range(n_glimpses):
        h = core(glimpse_net(torch.cat([extract_patch(images, loc), loc], dim=1)), h)
        mu = torch.tanh(locator(h.detach()))
        sample = Normal(mu, STD).sample()
        log_pis.append(Normal(mu, STD).log_prob(sample).sum(dim=1))
        baselines.append(baseline(h.detach()).squeeze(1))
        loc = sample.clamp(-1, 1)
    return classifier(h), torch.stack(log_pis, 1), torch.stack(baselines, 1)


for step in range(6):
    y = torch.randint(0, 3, (32,))
    images = torch.rand(32, SIZE, SIZE) * 0.2
    images[torch.arange(32), 2 + 3 * y, 2 + 3 * y] += 2
    logits, log_pi, b = rollout(images)
    reward = (logits.detach().argmax(1) == y).float().unsqueeze(1).expand_as(b)
    loss_reinforce = (-log_pi * (reward - b.detach())).sum(dim=1).mean()
    loss = F.cross_entropy(logits, y) + F.mse_loss(b, reward) + 0.01 * loss_reinforce
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, f"loss {loss.item():.3f} accuracy {reward.mean():.2f}")
