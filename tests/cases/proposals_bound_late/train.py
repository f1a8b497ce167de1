import torch
from torch import nn
import torch.nn.functional as F
from samplers import PropEstimator, points, weights_from_density

torch.manual_seed(105)


class DensityField(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(3, width), nn.SiLU(), nn.Linear(width, 1))

    def forward(self, x):
        return F.softplus(self.mlp(x)).squeeze(-1)


class RadianceField(nn.Module):
    def __init__(self):
        super().__init__()
        self.base = nn.Sequential(nn.Linear(3, 48), nn.SiLU(), nn.Linear(48, 16))
        self.rgb = nn.Linear(16 + 3, 3)

    def forward(self, x, d):
        h = self.base(x)
        colour = torch.sigmoid(self.rgb(torch.cat([h, d[:, None].expand_as(x)], -1)))
        return F.softplus(h[..., 0]), colour


class Scene(nn.Module):
    def __init__(self):
        super().__init__()
        self.coarse_prop = DensityField(16)
        self.fine_prop = DensityField(32)
        self.field = RadianceField()

    def render(self, estimator, origins, dirs):
        edges = estimator.sample(
            origins, dirs,
            density_fns=[lambda x: prop(x) for prop in (self.coarse_prop, self.fine_prop)],
            counts=[12, 12], final=10)
        sigma, colour = self.field(points(origins, dirs, edges), dirs)
        weights = weights_from_density(sigma, edges)
        return (weights[..., None] * colour).sum(1), edges, weights


scene, estimator = Scene(), PropEstimator()
prop_optimizer = torch.optim.Adam([*scene.coarse_prop.parameters(), *scene.fine_prop.parameters()], lr=1e-2)
optimizer = torch.optim.Adam(scene.field.parameters(), lr=5e-3)
for step in range(20):
    origins = torch.randn(32, 3) * 0.1
    dirs = F.normalize(torch.randn(32, 3), dim=-1)
    target = (dirs + 1) / 2
    rgb, edges, weights = scene.render(estimator, origins, dirs)
    prop_loss = estimator.loss(edges, weights)
    prop_optimizer.zero_grad()
    prop_loss.backward()
    prop_optimizer.step()
    loss = F.smooth_l1_loss(rgb, target)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 5 == 0:
        print(f"step {step} rgb {loss.item():.4f} prop {prop_loss.item():.5f}")
