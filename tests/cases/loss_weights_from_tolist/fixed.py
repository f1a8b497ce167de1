import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(22)


class UncertaintyWeights(nn.Module):
    """Kendall et al.: one log variance per task."""

    def __init__(self, tasks):
        super().__init__()
        self.tasks = tasks
        self.log_vars = nn.Parameter(torch.zeros(len(tasks)))

    def __call__(self, losses):
        precisions = torch.exp(-self.log_vars)
        total = 0.0
        for name, precision, log_var in zip(self.tasks, precisions, self.log_vars):
            total = total + precision * losses[name] + log_var
        return total


class SceneNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(30, 40), nn.ReLU())
        self.heads = nn.ModuleDict({"box": nn.Linear(40, 4), "label": nn.Linear(40, 6)})

    def forward(self, x):
        h = self.trunk(x)
        return {k: head(h) for k, head in self.heads.items()}


scene, weights = SceneNet(), UncertaintyWeights(["box", "label"])
opt = torch.optim.Adam([
    {"params": scene.parameters(), "lr": 1e-3},
    {"params": weights.parameters(), "lr": 1e-2},
])
for it in range(5):
    x = torch.randn(20, 30)
    out = scene(x)
    losses = {"box": F.smooth_l1_loss(out["box"], x[:, :4]),
              "label": F.cross_entropy(out["label"], torch.randint(0, 6, (20,)))}
    total = weights(losses)
    opt.zero_grad()
    total.backward()
    opt.step()
    print(it, f"total {total.item():.4f}", [round(v, 4) for v in weights.log_vars.tolist()])
