import torch
from torch import nn

torch.manual_seed(0)


class DeepTabular(nn.Module):
    def __init__(self, n_in, width, depth, act):
        super().__init__()
        self.inp = nn.Linear(n_in, width)
        self.hidden = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.out = nn.Linear(width, 1)
        self.act = act

    def forward(self, x):
        x = self.act(self.inp(x))
        for layer in self.hidden:
            x = self.act(layer(x))
        return self.out(x)


config = {"width": 32, "depth": 12, "lr": 1e-2, "activation": torch.sigmoid}
deep = DeepTabular(8, config["width"], config["depth"], config["activation"])
shallow = DeepTabular(8, config["width"], 1, config["activation"])
optimizer = torch.optim.SGD([*deep.parameters(), *shallow.parameters()], lr=config["lr"], momentum=0.9)

for step in range(10):
    x = torch.randn(64, 8)
    y = (x[:, :1] * x[:, 1:2] > 0).float()
    loss_deep = nn.functional.binary_cross_entropy_with_logits(deep(x), y)
    loss_shallow = nn.functional.binary_cross_entropy_with_logits(shallow(x), y)
    optimizer.zero_grad()
    (loss_deep + loss_shallow).backward()
    optimizer.step()
    print(step, f"deep {loss_deep.item():.4f} shallow {loss_shallow.item():.4f}")
