import torch
import torch.nn as nn

torch.manual_seed(34)


class Trunk(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(16, 32), nn.Tanh(), nn.Linear(32, 24), nn.Tanh())

    def forward(self, x):
        return self.body(x)


tasks = ["depth", "normal", "segment"]
model = {"rep": Trunk(), "depth": nn.Linear(24, 1), "normal": nn.Linear(24, 3), "segment": nn.Linear(24, 6)}
model_params = [p for m in model.values() for p in m.parameters()]
loss_fn = {
    "depth": nn.MSELoss(),
    "normal": lambda o, y: (1 - nn.functional.cosine_similarity(o, y)).mean(),
    "segment": nn.CrossEntropyLoss(),
}
optimizer = torch.optim.Adam(model_params, lr=1e-3)
W = torch.randn(16, 4) / 4


def sample(n=32):
    x = torch.randn(n, 16)
    z = x @ W
    return x, {"depth": z[:, :1], "normal": z[:, 1:], "segment": (z[:, 0] * 2).long().clamp(-2, 3) + 2}


def task_backward(task, x, target, scale):
    optimizer.zero_grad()
    rep = model["rep"](x)
    loss = scale * loss_fn[task](model[task](rep), target)
    loss.backward()
    return loss.item()


scale = {"depth": 1.0, "normal": 1.0, "segment": 0.5}
for n_iter in range(6):
    images, labels = sample()
    log = {}
    for t in tasks:
        log[t] = task_backward(t, images, labels[t], scale[t])
    optimizer.step()
    print(n_iter, " ".join(f"{k}={v:.3f}" for k, v in log.items()))
