import torch
from torch import nn
from fixed_hyper import HyperNet, TargetField


class ImplicitDecoder:
    def __init__(self, code_dim=8):
        self.encoder = nn.Sequential(nn.Linear(36, 32), nn.GELU(), nn.Linear(32, code_dim))
        self.aux = nn.Linear(code_dim, 3)
        self.hyper, self.field = HyperNet(code_dim), TargetField()
        self.opt = torch.optim.Adam(
            [p for m in (self.encoder, self.aux, self.hyper) for p in m.parameters()], lr=2e-3)
        axis = torch.linspace(-1, 1, 6)
        self.grid = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), -1).view(-1, 2)

    def reconstruct(self, images):
        codes = self.encoder(images)
        pixels = [self.field.load(w)(self.grid).squeeze(-1) for w in self.hyper(codes)]
        return torch.stack(pixels), codes

    def fit_batch(self, images, kind):
        recon, codes = self.reconstruct(images)
        loss = (recon - images).pow(2).mean() + 0.1 * nn.functional.cross_entropy(self.aux(codes), kind)
        self.opt.zero_grad()
        loss.backward()
        self.opt.step()
        return loss.item()


torch.manual_seed(0)
job = ImplicitDecoder()
for it in range(25):
    kind = torch.randint(3, (16,))
    freq = 1.0 + kind.float()[:, None]
    images = torch.sin(freq * job.grid[:, 0] + torch.rand(16, 1)) * torch.cos(freq * job.grid[:, 1])
    value = job.fit_batch(images, kind)
    if it % 8 == 0:
        print(it, f"{value:.4f}")
