import torch
from torch import nn

torch.manual_seed(0)
keypoints = nn.Sequential(nn.Linear(21, 48), nn.ReLU(), nn.Linear(48, 21))
confidence = nn.Linear(21, 7)
opt = torch.optim.Adam([*keypoints.parameters(), *confidence.parameters()], lr=1e-3)


def align(source, target):
    """Kabsch: the rotation that brings source onto target"""
    cov = source.transpose(1, 2) @ target
    U, S, Vh = torch.linalg.svd(cov)
    return U @ Vh


def frames(k, n=12):
    model = torch.randn(n, 7, 3)
    if k == 3:
        model[4, :, 1:] = 0.0                      # a stick
    angle = torch.rand(n) * 0.5
    c, s, o, i = angle.cos(), angle.sin(), torch.zeros(n), torch.ones(n)
    R = torch.stack([c, -s, o, s, c, o, o, o, i], 1).view(n, 3, 3)
    return model, model @ R


for k in range(7):
    model, observed = frames(k)
    shape = model.size(0), 7, 3
    predicted = observed + 0.1 * keypoints(observed.flatten(1)).view(shape) * (model != 0)
    if not torch.isfinite(predicted).all():
        print(f"frame batch {k}: bad prediction, skipped")
        continue
    R = align(predicted, model)
    fit = (predicted @ R - model).pow(2).mean()
    conf = confidence(observed.flatten(1)).pow(2).mean()
    opt.zero_grad()
    (fit + conf).backward()
    opt.step()
    print(f"frame batch {k}: fit {fit.item():.4f} conf {conf.item():.4f}")
