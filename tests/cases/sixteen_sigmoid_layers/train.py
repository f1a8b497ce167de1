import torch
import torch.nn.functional as F
from torch import nn

ACTIVATIONS = {"sigmoid": torch.sigmoid, "relu": torch.relu, "tanh": torch.tanh}
CONFIG = {
    "depth": 16,
    "width": 32,
    "activation": "sigmoid",
    "lr": 1e-3,
    "steps": 20,
    "seed": 26,
}


class Tower(nn.Module):
    def __init__(self, d_in, width, depth, activation):
        super().__init__()
        sizes = [d_in] + [width] * depth
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes, sizes[1:]))
        self.activation = ACTIVATIONS[activation]

    def forward(self, x):
        for layer in self.layers:
            x = self.activation(layer(x))
        return x


def init_weights(module):
    if isinstance(module, nn.Linear):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        nn.init.zeros_(module.bias)


def build(cfg):
    torch.manual_seed(cfg["seed"])
    model = nn.ModuleDict({
        "tower": Tower(10, cfg["width"], cfg["depth"], cfg["activation"]),
        "head": nn.Linear(cfg["width"], 1),
    })
    return model.apply(init_weights)


def concrete_strength(n):
    mix = torch.rand(n, 10)
    strength = 2 * mix[:, 0] - mix[:, 1] + mix[:, 2] * mix[:, 3]
    return mix - 0.5, strength[:, None]


model = build(CONFIG)
optimizer = torch.optim.SGD(model.parameters(), lr=CONFIG["lr"] * 10, momentum=0.9)
for step in range(CONFIG["steps"]):
    x, y = concrete_strength(64)
    loss = F.mse_loss(model["head"](model["tower"](x)), y)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    if step % 5 == 0:
        print(f"step {step} mse {loss.item():.4f}")
