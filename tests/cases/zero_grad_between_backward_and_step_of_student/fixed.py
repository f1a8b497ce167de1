import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(143)


def net(width):
    return nn.Sequential(nn.Linear(15, width), nn.ReLU(), nn.Linear(width, 5))


class MutualLearning:
    """Two students teach each other."""

    def __init__(self):
        self.first, self.second = net(32), net(16)
        self.opt_first = torch.optim.Adam(self.first.parameters(), lr=2e-3)
        self.opt_second = torch.optim.Adam(self.second.parameters(), lr=2e-3)

    @staticmethod
    def loss(own, other, y):
        kl = F.kl_div(own.log_softmax(-1), other.detach().softmax(-1), reduction="batchmean")
        return F.cross_entropy(own, y) + 0.5 * kl

    def step(self, x, y):
        a, b = self.first(x), self.second(x)
        loss_a = self.loss(a, b, y)
        self.opt_first.zero_grad()
        loss_a.backward()
        self.opt_first.step()

        loss_b = self.loss(b, a, y)
        self.opt_second.zero_grad()
        loss_b.backward()
        self.opt_second.step()
        return loss_a.item(), loss_b.item()


learner = MutualLearning()
for i in range(6):
    x = torch.randn(32, 15)
    print("iter %d first %.4f second %.4f" % (i, *learner.step(x, x[:, :5].argmax(1))))
