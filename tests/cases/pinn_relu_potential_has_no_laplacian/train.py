import math
import torch
from nets import Detector, Potential, laplacian

CONFIG = {
    "seed": 3,
    "potential": {"hidden": 32, "activation": "relu"},
    "detector": {"hidden": 16, "activation": "tanh"},
    "optim": {"lr": 5e-3, "iterations": 16, "points": 96},
    "weights": {"reading": 1.0, "neutrality": 0.1},
}


def readings(xy):
    r2 = ((xy - 0.5) ** 2).sum(-1)
    rho = 2.0 * torch.exp(-6.0 * r2) - 0.6
    return 0.9 * rho + 0.2 * torch.sin(math.pi * xy[:, 0])


class Inversion:
    def __init__(self, config):
        self.config = config
        self.potential = Potential(**config["potential"])
        self.detector = Detector(**config["detector"])
        params = [{"params": self.potential.parameters()}, {"params": self.detector.parameters(), "lr": 2e-3}]
        self.optimizer = torch.optim.Adam(params, lr=config["optim"]["lr"])

    def charge(self, xy):
        return -laplacian(self.potential, xy)

    def losses(self, xy):
        rho = self.charge(xy)
        misfit = (self.detector(xy, rho) - readings(xy)).pow(2).mean()
        return {"reading": misfit, "neutrality": rho.mean().pow(2)}

    def step(self):
        xy = torch.rand(self.config["optim"]["points"], 2)
        parts = self.losses(xy)
        total = sum(self.config["weights"][k] * v for k, v in parts.items())
        self.optimizer.zero_grad()
        total.backward()
        self.optimizer.step()
        return {k: v.item() for k, v in parts.items()}


if __name__ == "__main__":
    torch.manual_seed(CONFIG["seed"])
    inversion = Inversion(CONFIG)
    for it in range(CONFIG["optim"]["iterations"]):
        report = inversion.step()
        print(it, " ".join(f"{k} {v:.4f}" for k, v in report.items()))
