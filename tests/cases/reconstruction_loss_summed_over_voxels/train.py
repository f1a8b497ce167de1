import torch
from torch import nn
from recon import Recon

torch.manual_seed(0)


def acquire(n):
    vol = torch.rand(n, 1, 3, 3, 3).repeat_interleave(4, 2).repeat_interleave(4, 3).repeat_interleave(4, 4)
    return vol + 0.3 * torch.randn_like(vol), vol


hparams = {"lr": 1e-3, "batch_size": 32, "loss": "sum"}
recon = Recon(hparams)
mask_net = nn.Linear(2, 1)
opt_mask = torch.optim.SGD(mask_net.parameters(), lr=0.01)
for it in range(8):
    noisy, clean = acquire(hparams["batch_size"])
    loss = recon.fit_batch(noisy, clean)
    k = torch.rand(64, 2) * 2 - 1
    mask_loss = (mask_net(k) - k.norm(dim=1, keepdim=True)).square().mean()
    opt_mask.zero_grad()
    mask_loss.backward()
    opt_mask.step()
    print(it, f"{loss:.3e}", round(mask_loss.item(), 3))
