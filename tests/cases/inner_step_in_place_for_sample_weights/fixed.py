"""Noisy-label training: a small net weighs every sample by its loss, tuned on a clean set."""
import copy
import torch
from torch import nn
from torch.func import functional_call
import torch.nn.functional as F

torch.manual_seed(4)
n_features, n_classes, inner_lr = 8, 3, 0.1

classifier = nn.Sequential(nn.Linear(n_features, 32), nn.Tanh(), nn.Linear(32, n_classes))
weight_net = nn.Sequential(nn.Linear(1, 20), nn.ReLU(), nn.Linear(20, 1), nn.Sigmoid())

opt_model = torch.optim.SGD(classifier.parameters(), lr=0.1, momentum=0.9)
opt_meta = torch.optim.Adam(weight_net.parameters(), lr=1e-3)

teacher = torch.randn(n_features, n_classes)


def batch(n, flip):
    x = torch.randn(n, n_features)
    y = (x @ teacher).argmax(1)
    wrong = torch.rand(n) < flip
    return x, torch.where(wrong, torch.randint(0, n_classes, (n,)), y)


def losses(logits, y):
    return F.cross_entropy(logits, y, reduction="none")


def meta_step(x, y, x_clean, y_clean):
    params = dict(classifier.named_parameters())
    per_sample = losses(classifier(x), y)
    w = weight_net(per_sample.detach().unsqueeze(1)).squeeze(1)
    weighted = w * per_sample
    grads = torch.autograd.grad(weighted.mean(), list(params.values()), create_graph=True)
    virtual = {n: p - inner_lr * g for (n, p), g in zip(params.items(), grads)}
    meta_loss = losses(functional_call(classifier, virtual, (x_clean,)), y_clean).mean()
    opt_meta.zero_grad()
    meta_loss.backward()
    opt_meta.step()
    return meta_loss.item()


def model_step(x, y):
    per_sample = losses(classifier(x), y)
    with torch.no_grad():
        w = weight_net(per_sample.unsqueeze(1)).squeeze(1)
        w = w / w.sum().clamp(min=1e-6)
    loss = (w * per_sample).sum()
    opt_model.zero_grad()
    loss.backward()
    opt_model.step()
    return loss.item()


for step in range(30):
    x, y = batch(64, flip=0.4)
    x_clean, y_clean = batch(32, flip=0.0)
    meta = meta_step(x, y, x_clean, y_clean)
    train = model_step(x, y)
    if step % 10 == 0:
        print(f"[{step:02d}] clean {meta:.3f}  weighted {train:.3f}")
