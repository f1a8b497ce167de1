import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(43)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(14, 32), nn.SiLU(), nn.Linear(32, 20))
        self.main_head = nn.Linear(20, 5)
        self.aux_head = nn.Linear(20, 2)


class MultiTask:
    def __init__(self):
        self.net = Net()
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=2e-3)

    def backprop(self, loss):
        loss.backward()

    def step(self, x, y, y_aux):
        self.net.zero_grad()
        feats = self.net.trunk(x)
        aux = F.cross_entropy(self.net.aux_head(feats.detach()), y_aux)
        self.backprop(aux)
        main = F.cross_entropy(self.net.main_head(feats), y)
        self.backprop(main)
        self.optimizer.step()
        return main.item(), aux.item()


task = MultiTask()
for i in range(6):
    x = torch.randn(24, 14)
    m, a = task.step(x, torch.randint(0, 5, (24,)), (x[:, 0] > 0).long())
    print(f"step {i} main {m:.4f} aux {a:.4f}")
