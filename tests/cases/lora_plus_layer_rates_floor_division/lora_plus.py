import math
import torch
from torch import nn


class LoRALinear(nn.Module):
    """LoRA+ (Hayou et al., 2024): A and B are meant to have different learning rates."""

    def __init__(self, base, rank, alpha):
        super().__init__()
        self.base = base.requires_grad_(False)
        self.lora_A = nn.Parameter(torch.empty(rank, base.in_features))
        self.lora_B = nn.Parameter(0.02 * torch.randn(base.out_features, rank))
        nn.init.kaiming_uniform_(self.lora_A, a=math.sqrt(5))
        self.scaling = alpha / rank

    def forward(self, x):
        return self.base(x) + self.scaling * (x @ self.lora_A.T) @ self.lora_B.T


def adapt(model, names, rank, alpha):
    for path, module in list(model.named_modules()):
        if isinstance(module, nn.Linear) and path.rsplit(".", 1)[-1] in names:
            parent, _, leaf = path.rpartition(".")
            setattr(model.get_submodule(parent), leaf, LoRALinear(module, rank, alpha))


def loraplus_groups(model, cfg):
    """Per-layer learning rates: deeper blocks learn faster, B faster than A."""
    groups = []
    for name, p in model.named_parameters():
        if not p.requires_grad:
            continue
        if "lora_" in name:
            depth = int(name.split(".")[1]) + 1
            lr = cfg["lr"] * (depth // cfg["depth"])
            if name.endswith("lora_B"):
                lr *= cfg["ratio"]
        else:
            lr = cfg["lr"]
        groups.append({"params": [p], "lr": lr, "name": name, "weight_decay": 0.0})
    return groups
