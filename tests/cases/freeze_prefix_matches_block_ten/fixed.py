import torch
from torch import nn

config = {
    "model": {"depth": 12, "width": 20, "classes": 4},
    "finetune": {"freeze_prefixes": ["patch", "blocks.0", "blocks.1"], "top": [9, 10, 11]},
    "optim": {"lr": 1e-3, "top_lr": 4e-3, "weight_decay": 0.0},
}


class ResBlock(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.norm = nn.LayerNorm(d)
        self.fc = nn.Linear(d, d)

    def forward(self, x):
        return x + torch.nn.functional.gelu(self.fc(self.norm(x)))


class Backbone(nn.Module):
    def __init__(self, depth, width, classes):
        super().__init__()
        self.patch = nn.Linear(8, width)
        self.blocks = nn.ModuleList(ResBlock(width) for _ in range(depth))
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        x = self.patch(x)
        for block in self.blocks:
            x = block(x)
        return self.head(x)


def freeze(model, prefixes):
    for name, p in model.named_parameters():
        if any(name.startswith(prefix + ".") for prefix in prefixes):
            p.requires_grad = False


def build_optimizer(model, cfg, ft):
    top = [p for i in ft["top"] for p in model.blocks[i].parameters()]
    middle = [p for i in range(2, min(ft["top"])) for p in model.blocks[i].parameters()]
    return torch.optim.AdamW([
        {"params": top + list(model.head.parameters()), "lr": cfg["top_lr"]},
        {"params": middle, "lr": cfg["lr"]},
    ], weight_decay=cfg["weight_decay"])


torch.manual_seed(11)
model = Backbone(**config["model"])
freeze(model, config["finetune"]["freeze_prefixes"])
optimizer = build_optimizer(model, config["optim"], config["finetune"])
for step in range(8):
    x = torch.randn(48, 8)
    y = x[:, :4].argmax(-1)
    loss = nn.functional.cross_entropy(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, round(loss.item(), 4))
