import torch
from torch import nn

torch.manual_seed(0)
teacher = nn.Sequential(nn.Linear(12, 32), nn.ReLU(), nn.Linear(32, 6)).requires_grad_(False)
student = nn.Sequential(nn.Linear(12, 24), nn.ReLU(), nn.Linear(24, 6))
optimizer = torch.optim.SGD(student.parameters(), lr=0.1)
scaler = torch.amp.GradScaler("cpu", init_scale=2.0 ** 15, growth_interval=100)

for step in range(10):
    x = torch.randn(64, 12)
    with torch.no_grad():
        goal = teacher(x)
    with torch.autocast("cpu", dtype=torch.float16):
        loss = (student(x).float() - goal).pow(2).sum(1).mean() * 4
    optimizer.zero_grad()
    scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    nn.utils.clip_grad_norm_(student.parameters(), 1.0)
    scaler.step(optimizer)
    scaler.update()
    print(f"step {step} loss {loss.item():.4f} scale {scaler.get_scale():.0f}")
