import torch
from torch import nn
import torch.nn.functional as F
from ema import EMAModel

torch.manual_seed(48)
unet = nn.Sequential(nn.Linear(8 + 6 + 1, 32), nn.SiLU(), nn.Linear(32, 8))
text_proj = nn.Linear(10, 6)
params = [*unet.parameters(), *text_proj.parameters()]
optimizer = torch.optim.AdamW(params, lr=2e-3)
ema = EMAModel(params)
MIX = torch.randn(10, 8) / 3


def denoise_loss(n):
    text = torch.randn(n, 10)
    latents, noise, t = text @ MIX, torch.randn(n, 8), torch.rand(n, 1)
    noisy = (1 - t) * latents + t * noise
    return F.mse_loss(unet(torch.cat([noisy, text_proj(text), t], dim=1)), noise)


@torch.no_grad()
def validate():
    ema.store(params)
    ema.copy_to(params)
    unet.eval()
    value = denoise_loss(64).item()
    unet.train()
    ema.restore(params)
    return value


for step in range(8):
    loss = denoise_loss(32)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    ema.step(params)
    if step % 2 == 1:
        print(f"step {step} train {loss.item():.4f} ema validation {validate():.4f}")
