import torch
from torch import nn
import torch.nn.functional as F


def smoothness(flow, weight=2.0):
    dx = (flow[..., 1:] - flow[..., :-1]).abs().mean()
    dy = (flow[..., 1:, :] - flow[..., :-1, :]).abs().mean()
    return weight * (dx + dy)

torch.manual_seed(403)


class FlowNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.corr = nn.Conv2d(2, 10, 3, padding=1)
        self.flow = nn.Conv2d(10, 2, 3, padding=1, bias=False)

    def forward(self, pair):
        return self.flow(F.relu(self.corr(pair)))


class Occlusion(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Conv2d(4, 1, 3, padding=1)

    def forward(self, pair, flow):
        return torch.sigmoid(self.net(torch.cat([pair, flow.detach()], 1)))


flow_net, occlusion = FlowNet(), Occlusion()
optimizers = [torch.optim.SGD(flow_net.parameters(), lr=0.05), torch.optim.SGD(occlusion.parameters(), lr=0.05)]
for step in range(5):
    pair, truth = torch.rand(3, 2, 10, 10), torch.randn(3, 2, 10, 10)
    for o in optimizers:
        o.zero_grad()
    flow = flow_net(pair)
    visible = occlusion(pair, flow)
    loss = ((flow - truth).abs() * visible).mean() - 0.1 * visible.log().mean() + smoothness(flow)
    loss.backward()
    for o in optimizers:
        o.step()
    print("step", step, "loss", round(loss.item(), 4))
