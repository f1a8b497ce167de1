import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(33)
trunk = nn.Sequential(nn.Conv2d(3, 12, 3, padding=1), nn.ReLU(), nn.Conv2d(12, 12, 3, padding=1), nn.ReLU())
heads = nn.ModuleDict({"depth": nn.Conv2d(12, 1, 1), "normals": nn.Conv2d(12, 3, 1), "seg": nn.Conv2d(12, 5, 1)})
optimizer = torch.optim.SGD([*trunk.parameters(), *heads.parameters()], lr=0.05)


def targets(img):
    depth = img.mean(1, keepdim=True)
    return {"depth": depth, "normals": F.normalize(img - 0.5, dim=1), "seg": (depth.squeeze(1) * 5).long().clamp(max=4)}


LOSSES = {
    "depth": F.l1_loss,
    "normals": lambda p, t: (1 - F.cosine_similarity(p, t, dim=1)).mean(),
    "seg": F.cross_entropy,
}

for step in range(6):
    log = {}
    optimizer.zero_grad()
    for task, loss_fn in LOSSES.items():  # one task at a time to save memory
        img = torch.rand(4, 3, 10, 10)
        loss = loss_fn(heads[task](trunk(img)), targets(img)[task])
        loss.backward()
        log[task] = round(loss.item(), 4)
    optimizer.step()
    print(step, log)
