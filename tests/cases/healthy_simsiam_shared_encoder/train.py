import torch
from torch import nn


class SimSiam(nn.Module):
    def __init__(self, encoder, dim):
        super().__init__()
        self.encoder = encoder
        self.predictor = nn.Sequential(nn.Linear(dim, dim // 2, bias=False), nn.ReLU(), nn.Linear(dim // 2, dim))

    @staticmethod
    def distance(p, z):
        return -nn.functional.cosine_similarity(p, z.detach(), dim=1).mean()

    def forward(self, a, b):
        za, zb = self.encoder(a), self.encoder(b)
        return (self.distance(self.predictor(za), zb) + self.distance(self.predictor(zb), za)) / 2


if __name__ == "__main__":
    torch.manual_seed(207)
    siamese = SimSiam(nn.Sequential(nn.Linear(14, 32), nn.Tanh(), nn.Linear(32, 12)), 12)
    opt = torch.optim.AdamW(siamese.parameters(), lr=1e-3)
    stds = []
    for step in range(6):
        base = torch.randn(24, 14)
        loss = siamese(base + 0.2 * torch.randn_like(base), base * (torch.rand_like(base) > 0.1))
        opt.zero_grad()
        loss.backward()
        opt.step()
        with torch.no_grad():
            stds.append(siamese.encoder(base).std(0).mean().item())
        print(f"step {step} loss {loss.item():+.4f} std {stds[-1]:.4f}")
