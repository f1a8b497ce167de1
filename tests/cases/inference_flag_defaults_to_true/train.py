import torch
from torch import nn
import torch.nn.functional as F

from codec import SpeechCodec

torch.manual_seed(307)


class Enhancer(nn.Module):
    def __init__(self, codes=8):
        super().__init__()
        self.net = nn.Sequential(nn.Conv1d(codes, 16, 3, padding=1), nn.PReLU(), nn.Conv1d(16, codes, 3, padding=1))

    def forward(self, z):
        return z + self.net(z)


class Experiment:
    def __init__(self, lr=1e-3):
        self.codec, self.enhancer = SpeechCodec(), Enhancer()
        self.optimizer = torch.optim.AdamW(
            [{"params": self.codec.parameters(), "lr": 0.3 * lr}, {"params": self.enhancer.parameters(), "lr": lr}])

    def run(self, steps):
        for s in range(steps):
            clean = torch.sin(torch.rand(6, 1, 1) * 9 + torch.linspace(0, 20, 32))
            z = self.codec.encode(clean + 0.2 * torch.randn_like(clean))
            loss = F.mse_loss(self.enhancer(z).mean(1, keepdim=True), F.avg_pool1d(clean, 4))
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            print(f"{s:3d} {loss.item():.4f}")


experiment = Experiment()
experiment.run(5)
