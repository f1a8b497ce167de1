import torch
from torch import nn
import torch.nn.functional as F


class LitLike:
    """Minimal module with configure_optimizers, as in Lightning."""

    def __init__(self):
        self.encoder = nn.Sequential(nn.Linear(16, 24), nn.ReLU(), nn.Linear(24, 6))
        self.cluster_centers = nn.Parameter(torch.randn(4, 6))
        self.decoder = nn.Linear(6, 16)

    def configure_optimizers(self):
        net = torch.optim.Adam([*self.encoder.parameters(), *self.decoder.parameters()], lr=1e-3)
        centers = torch.optim.SGD([self.cluster_centers], lr=0.1)
        return [net, centers]

    def training_step(self, x):
        z = self.encoder(x)
        q = 1 / (1 + torch.cdist(z, self.cluster_centers).pow(2))
        q = q / q.sum(1, keepdim=True)
        p = (q ** 2 / q.sum(0)).detach()
        p = p / p.sum(1, keepdim=True)
        return F.mse_loss(self.decoder(z), x) + F.kl_div(q.log(), p, reduction="batchmean")


class Trainer:
    def __init__(self, max_steps):
        self.max_steps = max_steps

    def fit(self, module):
        optimizers = module.configure_optimizers()
        for step in range(self.max_steps):
            loss = module.training_step(torch.randn(32, 16))
            for o in optimizers:
                o.zero_grad()
            loss.backward()
            for o in optimizers:
                o.step()
            print(f"step={step} loss={loss.item():.4f}")


torch.manual_seed(121)
module = LitLike()
Trainer(5).fit(module)
