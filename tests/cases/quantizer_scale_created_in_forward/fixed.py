import math
import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(22)


def round_pass(x):
    return (x.round() - x).detach() + x


class LsqMixin:
    bits = 4

    def quantize(self, w):
        qn, qp = -2 ** (self.bits - 1), 2 ** (self.bits - 1) - 1
        if self.scale is None:
            self.scale = nn.Parameter(2 * w.detach().abs().mean() / math.sqrt(qp))
        return round_pass((w / self.scale).clamp(qn, qp)) * self.scale


class QConv2d(LsqMixin, nn.Conv2d):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.register_parameter("scale", None)

    def forward(self, x):
        return F.conv2d(x, self.quantize(self.weight), self.bias, self.stride, self.padding)


class QLinear(LsqMixin, nn.Linear):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.register_parameter("scale", None)

    def forward(self, x):
        return F.linear(x, self.quantize(self.weight), self.bias)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.fc = QConv2d(1, 8, 3, padding=1), QLinear(8 * 16, 4)

    def forward(self, x):
        return self.fc(F.max_pool2d(F.relu(self.conv(x)), 2).flatten(1))


net = Net()
net(torch.randn(16, 1, 8, 8))  # creates the step sizes
optimizer = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], lr=0.02, momentum=0.9)
for step in range(6):
    x = torch.randn(16, 1, 8, 8)
    y = x.view(16, 4, 16).mean(2).argmax(1)
    loss = F.cross_entropy(net(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, round(loss.item(), 4), "conv scale", round(net.conv.scale.item(), 5))
