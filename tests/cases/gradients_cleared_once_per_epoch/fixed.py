import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Epoch:
    def __init__(self, net, optimizer):
        self.net, self.optimizer = net, optimizer

    def __call__(self, loader):
        seen, total = 0, 0.0
        for x, y in loader:
            loss = nn.functional.mse_loss(self.net(x), y)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            seen += len(x)
            total += loss.item() * len(x)
        return total / seen


torch.manual_seed(137)
x = torch.rand(60, 6)
y = (x[:, :2].prod(1, keepdim=True) + x[:, 2:3]).sin()
surrogate = nn.Sequential(nn.Linear(6, 32), nn.SiLU(), nn.Linear(32, 1))
run = Epoch(surrogate, torch.optim.SGD(surrogate.parameters(), lr=0.02))
for epoch in range(3):
    print("epoch", epoch, "rmse", round(run(DataLoader(TensorDataset(x, y), batch_size=15)) ** 0.5, 4))
