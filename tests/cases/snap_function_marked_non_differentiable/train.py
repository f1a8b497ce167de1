import torch
from torch import nn


class SnapToGrid(torch.autograd.Function):
    @staticmethod
    def forward(ctx, pose, step):
        snapped = torch.round(pose / step) * step
        ctx.mark_non_differentiable(snapped)
        return snapped

    @staticmethod
    def backward(ctx, grad):
        return grad, None


class Planner(nn.Module):
    def __init__(self):
        super().__init__()
        self.goal = nn.Linear(4, 16)
        self.path = nn.Linear(16, 6)

    def forward(self, goal):
        return self.path(torch.relu(self.goal(goal)))


class CostNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(10, 20), nn.ReLU(), nn.Linear(20, 1))

    def forward(self, goal, waypoints):
        return self.net(torch.cat([goal, waypoints], dim=-1)).squeeze(-1)


class Session:
    def __init__(self):
        torch.manual_seed(59)
        self.planner, self.cost = Planner(), CostNet()
        self.adam = torch.optim.Adam([*self.planner.parameters(), *self.cost.parameters()], lr=1e-3)

    def __call__(self, goal):
        waypoints = SnapToGrid.apply(self.planner(goal), 0.25)
        length = waypoints.view(-1, 3, 2).diff(dim=1).norm(dim=-1).sum(-1).detach()
        return (self.cost(goal, waypoints) - length).pow(2).mean() + 0.1 * waypoints.pow(2).mean()


session = Session()
for n in range(5):
    loss = session(torch.rand(16, 4) * 2)
    session.adam.zero_grad()
    loss.backward()
    session.adam.step()
    print("round", n, "loss", f"{loss.item():.4f}")
