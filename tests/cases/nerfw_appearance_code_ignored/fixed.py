import torch
from torch import nn
import torch.nn.functional as F

from nerf import NeRF, PosEmbedding

hparams = {"N_vocab": 12, "N_a": 8, "N_samples": 16, "width": 32, "lr": 5e-3, "encode_a": True, "steps": 25}


class NeRFSystem(nn.Module):
    def __init__(self, hp):
        super().__init__()
        self.hp = hp
        self.embedding_xyz, self.embedding_dir = PosEmbedding(4), PosEmbedding(2)
        if hp["encode_a"]:
            self.embedding_a = nn.Embedding(hp["N_vocab"], hp["N_a"])
        self.nerf = NeRF(width=hp["width"], in_a=hp["N_a"], encode_appearance=hp["encode_a"])

    def render(self, rays_o, rays_d, ts):
        z = torch.linspace(0.1, 2.0, self.hp["N_samples"]).expand(len(rays_o), -1)
        xyz = rays_o[:, None] + z[..., None] * rays_d[:, None]
        direction = self.embedding_dir(rays_d)[:, None].expand(-1, z.shape[1], -1)
        code = self.embedding_a(ts) if self.hp["encode_a"] else None
        if code is not None:
            code = code[:, None].expand(-1, z.shape[1], -1)
        rgb, sigma = self.nerf(self.embedding_xyz(xyz), direction, appearance=code)
        alpha = 1 - torch.exp(-sigma * (z[:, 1:2] - z[:, :1]))
        transmittance = torch.cumprod(1 - alpha + 1e-10, dim=1).roll(1, dims=1)
        weights = alpha * torch.cat([torch.ones_like(alpha[:, :1]), transmittance[:, 1:]], dim=1)
        return (weights[..., None] * rgb).sum(dim=1) + 1 - weights.sum(dim=1, keepdim=True)


def sample_batch(n=96):
    ts = torch.randint(hparams["N_vocab"], (n,))
    d = F.normalize(torch.randn(n, 3), dim=-1)
    exposure = 0.4 + 0.05 * ts.float()[:, None]
    return 0.2 * torch.randn(n, 3), d, ts, ((0.5 + 0.5 * d) * exposure).clamp(0, 1)


torch.manual_seed(2)
system = NeRFSystem(hparams)
optimizer = torch.optim.Adam(system.parameters(), lr=hparams["lr"])
for step in range(hparams["steps"]):
    rays_o, rays_d, ts, rgbs = sample_batch()
    loss = F.mse_loss(system.render(rays_o, rays_d, ts), rgbs)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 5 == 0:
        print(f"step {step} loss {loss.item():.5f} psnr {-10 * torch.log10(loss.detach()).item():.2f}")
