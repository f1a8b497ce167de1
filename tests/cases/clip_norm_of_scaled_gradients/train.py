import torch
from torch import nn

torch.manual_seed(0)
unet = nn.Sequential(nn.Linear(16 + 8, 48), nn.SiLU(), nn.Linear(48, 16))
time_mlp = nn.Sequential(nn.Linear(1, 16), nn.SiLU(), nn.Linear(16, 8))
params = [*unet.parameters(), *time_mlp.parameters()]
optimizer = torch.optim.SGD(params, lr=0.1, momentum=0.9)
scaler = torch.amp.GradScaler("cpu", init_scale=65536.0)

for step in range(8):
    x0 = torch.randn(64, 16) @ torch.diag(torch.linspace(0.1, 2, 16))
    t = torch.rand(64, 1)
    noise = torch.randn_like(x0)
    with torch.autocast("cpu", dtype=torch.float16):
        xt = (1 - t) * x0 + t * noise
        pred = unet(torch.cat([xt, time_mlp(t)], dim=1))
        loss = nn.functional.mse_loss(pred.float(), noise)
    optimizer.zero_grad()
    scaler.scale(loss).backward()
    torch.nn.utils.clip_grad_norm_(params, max_norm=1.0)
    scaler.step(optimizer)
    scaler.update()
    print(f"step {step} loss {loss.item():.4f}")
