import torch
from torch import nn
from torch.nn import functional as F
import optim_factory

torch.manual_seed(55)
UPDATES, WARM = 60, 200             # demo length; the real run has 20k updates


class PixelAdapter(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.down, self.up = nn.Linear(dim, 8), nn.Linear(8, dim)

    def forward(self, h):
        return h + self.up(F.gelu(self.down(h)))


modules = nn.ModuleDict({
    "embed": nn.Linear(12, 32),
    "adapter": PixelAdapter(32),
    "head": nn.Linear(32, 4),
})
plan = {"embed": (5e-4, WARM), "adapter": (2e-3, WARM), "head": (2e-3, 0)}
opt, schedule = optim_factory.create(plan, modules)
rule = torch.randn(12, 4)

for u in range(UPDATES):
    x = torch.randn(48, 12)
    logits = modules["head"](modules["adapter"](modules["embed"](x)))
    loss = F.cross_entropy(logits, (x @ rule).argmax(1))
    opt.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_value_(modules.parameters(), 1.0)
    opt.step()
    schedule.step()
    if u % 20 == 0:
        print(u, round(loss.item(), 4))
