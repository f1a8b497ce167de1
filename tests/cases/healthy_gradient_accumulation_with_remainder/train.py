import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(229)
ACCUM = 3
x = torch.randn(56, 10)
y = x[:, 0] - 2 * x[:, 1]
loader = DataLoader(TensorDataset(x, y), batch_size=8)      # 7 batches: 3 + 3 + 1

net = nn.Sequential(nn.Linear(10, 20), nn.ReLU(), nn.Linear(20, 1))
optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
updates = 0
for epoch in range(2):
    optimizer.zero_grad()
    for i, (bx, by) in enumerate(loader, start=1):
        loss = (net(bx).squeeze(-1) - by).pow(2).mean() / ACCUM
        loss.backward()
        if i % ACCUM == 0 or i == len(loader):
            optimizer.step()
            optimizer.zero_grad()
            updates += 1
    print("epoch", epoch, "updates", updates, "loss", round(loss.item() * ACCUM, 4))
print("done")
