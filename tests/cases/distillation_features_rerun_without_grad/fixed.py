import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(24)


def make_net():
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.SiLU(), nn.Conv2d(8, 12, 3, 2, 1), nn.SiLU(), nn.Conv2d(12, 16, 3, 2, 1))


class FeatureCache:
    def __init__(self, net, layers):
        self.store = {}
        for i in layers:
            net[i].register_forward_hook(lambda m, inp, out, i=i: self.store.__setitem__(i, out))

    def clear(self):
        self.store.clear()


LAYERS = (0, 2, 4)
teacher, student = make_net().eval().requires_grad_(False), make_net()
projectors = nn.ModuleDict({str(i): nn.Conv2d(c, c, 1) for i, c in zip(LAYERS, (8, 12, 16))})
head = nn.Linear(16, 2)
cache_t, cache_s = FeatureCache(teacher, LAYERS), FeatureCache(student, LAYERS)
optimizer = torch.optim.Adam([*student.parameters(), *projectors.parameters(), *head.parameters()], lr=1e-3)


def hierarchical_distillation_loss(images):
    cache_t.clear(), cache_s.clear()
    with torch.no_grad():
        teacher(images)
    student(images)
    total = 0.0
    for i in LAYERS:
        s, t = projectors[str(i)](cache_s.store[i]), cache_t.store[i]
        total = total + F.mse_loss(s, t)
    return total


def probe_loss(images):
    """Keeps a linear probe on the (frozen for this purpose) student features."""
    pooled = student(images).detach().mean(dim=(2, 3))
    return F.cross_entropy(head(pooled), (images.mean(dim=(1, 2, 3)) > 0.5).long())


for step in range(6):
    images = torch.rand(8, 3, 12, 12)
    probe = probe_loss(images)
    loss = hierarchical_distillation_loss(images) + 0.1 * probe
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, round(loss.item(), 4), "probe", round(probe.item(), 4))
