import itertools

import torch
from torch import nn
import torch.nn.functional as F


def set_requires_grad(nets, flag=False):
    for net in nets if isinstance(nets, list) else [nets]:
        for p in net.parameters():
            p.requires_grad = flag


def gen():
    return nn.Sequential(nn.Conv1d(1, 8, 5, padding=2), nn.LeakyReLU(0.2), nn.Conv1d(8, 1, 5, padding=2))


def dis():
    return nn.Sequential(nn.Conv1d(1, 8, 4, stride=2), nn.LeakyReLU(0.2), nn.Conv1d(8, 1, 4))


class CycleModel:
    def __init__(self):
        self.net_ab, self.net_ba = gen(), gen()
        self.dis_a, self.dis_b = dis(), dis()
        # the offset is shared by both judges
        self.level = nn.Parameter(torch.zeros(1))
        self.opt_g = torch.optim.Adam(itertools.chain(self.net_ab.parameters(), self.net_ba.parameters()), lr=1e-3)
        self.opt_d = torch.optim.Adam(
            [self.level, *self.dis_a.parameters(), *self.dis_b.parameters()], lr=1e-3)

    def adv(self, net, x, real):
        return F.mse_loss(net(x) + self.level, torch.full((), float(real)).expand_as(net(x)))

    def optimize(self, a, b):
        set_requires_grad([self.dis_a, self.dis_b], False)
        fb, fa = self.net_ab(a), self.net_ba(b)
        g = self.adv(self.dis_b, fb, 1) + self.adv(self.dis_a, fa, 1)
        g = g + 5 * (F.l1_loss(self.net_ba(fb), a) + F.l1_loss(self.net_ab(fa), b))
        self.opt_g.zero_grad()
        g.backward()
        self.opt_g.step()

        set_requires_grad([self.dis_a, self.dis_b], True)
        self.opt_d.zero_grad()
        losses = []
        for net, real, fake in ((self.dis_a, a, fa), (self.dis_b, b, fb)):
            d = 0.5 * (self.adv(net, real, 1) + self.adv(net, fake.detach(), 0))
            d.backward()
            losses.append(d.item())
        self.opt_d.step()
        return g.item(), losses


torch.manual_seed(65)
model = CycleModel()
for i in range(4):
    a = torch.sin(torch.linspace(0, 9, 24) + torch.rand(6, 1, 1))
    b = torch.sign(torch.sin(torch.linspace(0, 9, 24) + torch.rand(6, 1, 1)))
    g, (la, lb) = model.optimize(a, b)
    print(f"iter {i} G {g:.4f} D_A {la:.4f} D_B {lb:.4f}")
