import torch
from torch import nn
import torch.nn.functional as F


class Quantizer(nn.Module):
    def __init__(self, k, dim, beta=0.25):
        super().__init__()
        self.codebook = nn.Embedding(k, dim)
        nn.init.normal_(self.codebook.weight, std=0.5)
        self.beta = beta

    def forward(self, z):
        idx = torch.cdist(z, self.codebook.weight).argmin(1)
        q = self.codebook(idx)
        loss = F.mse_loss(q, z.detach()) + self.beta * F.mse_loss(z, q.detach())
        return z + (q - z).detach(), loss, idx


class VQVAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4))
        self.quantizer = Quantizer(8, 4)
        self.decoder = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 16))

    def forward(self, x):
        q, vq_loss, idx = self.quantizer(self.encoder(x))
        return self.decoder(q), vq_loss, idx


torch.manual_seed(217)
vqvae = VQVAE()
optim = torch.optim.Adam(vqvae.parameters(), lr=2e-3)
for step in range(6):
    x = torch.randn(64, 16) * torch.tensor([1.0, 0.2]).repeat(8)
    rec, vq_loss, idx = vqvae(x)
    loss = F.mse_loss(rec, x) + vq_loss
    optim.zero_grad()
    loss.backward()
    optim.step()
    print(f"{step} loss {loss.item():.4f} codes used {idx.unique().numel()}")
