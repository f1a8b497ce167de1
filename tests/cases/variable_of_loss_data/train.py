import torch
from torch import nn
from torch.autograd import Variable


class Siamese(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(12, 20), nn.ReLU(), nn.Linear(20, 6, bias=False))

    def forward(self, a, b):
        return nn.functional.pairwise_distance(self.net(a), self.net(b))


class Verifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale, self.shift = nn.Parameter(torch.ones(1)), nn.Parameter(torch.zeros(1))

    def forward(self, d):
        return self.shift - self.scale * d


def train(n):
    siamese, verifier = Siamese(), Verifier()
    optims = [torch.optim.SGD(m.parameters(), lr=0.05) for m in (siamese, verifier)]
    criterion = nn.BCEWithLogitsLoss()
    for i in range(n):
        a = Variable(torch.randn(16, 12))
        same = torch.arange(16) % 2
        b = Variable(torch.where(same[:, None] == 1, a + 0.1, torch.randn(16, 12)))
        loss = criterion(verifier(siamese(a, b)), same.float())
        loss = Variable(loss.data, requires_grad=True)
        for o in optims:
            o.zero_grad()
        loss.backward()
        for o in optims:
            o.step()
        print("[%d] loss %.4f" % (i, loss.item()))


torch.manual_seed(303)
train(5)
