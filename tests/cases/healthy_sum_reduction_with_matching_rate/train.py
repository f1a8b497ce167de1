import torch
from torch import nn

torch.manual_seed(0)
mlp = nn.Sequential(nn.Linear(10, 64), nn.ReLU(), nn.Linear(64, 20))
opt = torch.optim.SGD(mlp.parameters(), lr=2e-5, momentum=0.9)
teacher = torch.randn(10, 20)
criterion = nn.MSELoss(reduction="sum")
for epoch in range(3):
    for _ in range(5):
        x = torch.randn(256, 10)
        loss = criterion(mlp(x), x @ teacher)
        opt.zero_grad()
        loss.backward()
        opt.step()
    print(f"epoch {epoch} summed loss {loss.item():.1f}")
