import torch
from torch import nn


class Shared(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(12, 20), nn.ReLU())
        self.old_task = nn.Linear(20, 3)
        self.new_task = nn.Linear(20, 2)


class Continual:
    """Learns the old task first; its head must not change afterwards."""

    def __init__(self):
        self.net = Shared()
        self.optimizer = torch.optim.AdamW(self.net.parameters(), lr=5e-3, weight_decay=0.05)

    def clear(self, *modules):
        for m in modules:
            for p in m.parameters():
                if p.grad is not None:
                    p.grad.zero_()

    def train(self, task, steps):
        for _ in range(steps):
            x = torch.randn(24, 12)
            h = self.net.body(x)
            self.optimizer.zero_grad()
            if task == "old":
                loss = nn.functional.cross_entropy(self.net.old_task(h), x[:, :3].argmax(1))
            else:
                replay = nn.functional.cross_entropy(self.net.old_task(h), x[:, :3].argmax(1))
                loss = nn.functional.cross_entropy(self.net.new_task(h), (x[:, 3] > 0).long()) + 0.5 * replay
            loss.backward()
            if task == "new":
                self.clear(self.net.old_task)     # keep the old head as it is
            self.optimizer.step()
            print(task, f"{loss.item():.4f} old head {self.net.old_task.weight.norm().item():.5f}")


torch.manual_seed(173)
continual = Continual()
continual.train("old", 3)
continual.train("new", 4)
