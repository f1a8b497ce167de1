import torch
from torch import nn
from nets import VelocityField, Baseline

torch.manual_seed(0)


class FlowMatching:
    def __init__(self):
        self.field = VelocityField(dim=4, width=48, depth=7)
        self.baseline = Baseline(4)
        self.opts = [torch.optim.SGD(m.parameters(), lr=0.05, momentum=0.9) for m in (self.field, self.baseline)]

    def step(self, x1):
        x0, t = torch.randn_like(x1), torch.rand(len(x1), 1)
        xt = (1 - t) * x0 + t * x1
        result = []
        for model, opt in zip((self.field, self.baseline), self.opts):
            loss = (model(xt, t) - (x1 - x0)).square().mean()
            opt.zero_grad()
            loss.backward()
            opt.step()
            result.append(round(loss.item(), 4))
        return result


fm = FlowMatching()
for it in range(8):
    print(it, fm.step(torch.randn(96, 4) * 0.2 + torch.tensor([1.0, -1.0, 0.5, 0.0])))
