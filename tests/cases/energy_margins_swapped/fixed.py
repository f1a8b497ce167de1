import torch
import torch.nn as nn
import torch.nn.functional as F

CONFIG = {
    "dim": 10,
    "classes": 4,
    "margins": (-5.0, 5.0),
    "energy_weight": 0.1,
    "steps": 8,
}


class EnergyLoss(nn.Module):
    """squared hinges on both sides of the energy gap"""

    def __init__(self, margins):
        super().__init__()
        self.m_in, self.m_out = margins

    def forward(self, energy_in, energy_out):
        hinge_in = F.relu(energy_in - self.m_in).pow(2).mean()
        hinge_out = F.relu(self.m_out - energy_out).pow(2).mean()
        return hinge_in + hinge_out


def mlp(n_in, n_out, width=32):
    return nn.Sequential(nn.Linear(n_in, width), nn.GELU(), nn.Linear(width, width), nn.GELU(), nn.Linear(width, n_out))


class Data:
    def __init__(self, cfg):
        self.centres = 2.0 * torch.randn(cfg["classes"], cfg["dim"])

    def inliers(self, n):
        y = torch.randint(0, len(self.centres), (n,))
        return self.centres[y] + 0.5 * torch.randn(n, self.centres.shape[1]), y

    def outliers(self, n):
        return 3.0 * torch.rand(n, self.centres.shape[1]) - 1.5


def run(cfg):
    torch.manual_seed(17)
    data = Data(cfg)
    classifier, scorer = mlp(cfg["dim"], cfg["classes"]), mlp(cfg["dim"], 1)
    energy_loss = EnergyLoss(cfg["margins"])
    opt = torch.optim.Adam([*classifier.parameters(), *scorer.parameters()], lr=2e-3)
    for step in range(cfg["steps"]):
        x_in, y = data.inliers(48)
        x_out = data.outliers(48)
        ce = F.cross_entropy(classifier(x_in), y)
        energy = energy_loss(scorer(x_in), scorer(x_out))
        opt.zero_grad()
        (ce + cfg["energy_weight"] * energy).backward()
        opt.step()
        print(f"step {step} ce {ce.item():.4f} energy {energy.item():.4f}")
    return classifier, scorer


if __name__ == "__main__":
    run(CONFIG)
