import numpy as np
import torch
from torch import nn


def fisher_penalty(z, labels):
    """Keeps the spread inside every class small."""
    spread = [z[labels == c].std(dim=0).mean() for c in labels.unique()]
    return torch.stack(spread).mean()


class ProtoLoss(nn.Module):
    def __init__(self, n_classes, dim):
        super().__init__()
        self.centres = nn.Parameter(torch.randn(n_classes, dim))
        self.log_scale = nn.Parameter(torch.zeros(()))

    def forward(self, z, labels):
        return nn.functional.cross_entropy(-torch.cdist(z, self.centres) * self.log_scale.exp(), labels)


class EpisodeSampler:
    def __init__(self, rng, pool, episode):
        self.rng, self.pool, self.episode = rng, pool, episode

    def __iter__(self):
        for start in range(0, len(self.pool), self.episode):
            yield self.pool[start:start + self.episode]


class Job:
    def __init__(self, cfg):
        self.cfg = cfg
        self.embed = nn.Sequential(nn.Linear(cfg["features"], 32), nn.PReLU(), nn.Linear(32, cfg["dim"]))
        self.proto = ProtoLoss(cfg["classes"], cfg["dim"])
        self.opt = torch.optim.Adam([{"params": self.embed.parameters()}, {"params": self.proto.parameters(), "lr": 1e-2}], lr=cfg["lr"])

    def data(self, rng):
        labels = np.repeat(np.arange(self.cfg["classes"]), [40, 40, 39, 1])
        rng.shuffle(labels)
        x = rng.normal(size=(len(labels), self.cfg["features"])) + labels[:, None] * 0.7
        return torch.tensor(x, dtype=torch.float32), torch.tensor(labels)

    def run(self, rng):
        x, labels = self.data(rng)
        for index in EpisodeSampler(rng, np.arange(len(labels)), self.cfg["episode"]):
            z = self.embed(x[index])
            loss = self.proto(z, labels[index]) + self.cfg["fisher"] * fisher_penalty(z, labels[index])
            self.opt.zero_grad()
            loss.backward()
            self.opt.step()
            yield loss.item()


torch.manual_seed(0)
job = Job({"features": 7, "dim": 5, "classes": 4, "lr": 2e-3, "episode": 24, "fisher": 0.1})
for i, value in enumerate(job.run(np.random.default_rng(3))):
    print("episode", i, "loss", f"{value:.3f}")
