import torch
from torch import nn

torch.manual_seed(231)
denoise = nn.Sequential(nn.Linear(20, 40), nn.ReLU(), nn.Linear(40, 20))
optimizer = torch.optim.Adam(denoise.parameters(), lr=1e-3)
scaler = torch.amp.GradScaler("cpu", init_scale=2.0 ** 20, growth_interval=100)

for step in range(12):
    clean = torch.randn(16, 20)
    optimizer.zero_grad()
    with torch.autocast("cpu", dtype=torch.float16):
        out = denoise(clean + 0.3 * torch.randn_like(clean))
    loss = (out.float() - clean).pow(2).mean(-1).sum()
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    print(f"step {step} loss {loss.item():.3f} scale 2^{int(torch.tensor(scaler.get_scale()).log2())}")
