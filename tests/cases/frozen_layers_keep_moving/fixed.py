import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(41)
model = nn.ModuleDict({"emb": nn.Embedding(30, 16), "fc1": nn.Linear(16, 32), "fc2": nn.Linear(32, 16), "out": nn.Linear(16, 30)})
optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3, weight_decay=0.1)
WARMUP = 3


def forward(ids):
    x = model["emb"](ids)
    x = x + model["fc2"](F.relu(model["fc1"](x)))
    return model["out"](x)


def freeze_param(names=("fc1", "fc2")):
    for name, param in model.named_parameters():
        if any(n in name for n in names):
            param.requires_grad = False
    print("trained parameters:", sum(p.numel() for p in model.parameters() if p.requires_grad))


for update in range(10):
    if update == WARMUP:
        freeze_param()
    ids = torch.randint(0, 30, (32,))
    loss = F.cross_entropy(forward(ids), (ids * 7 + 3) % 30)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"update {update} loss {loss.item():.4f} |fc1| {model['fc1'].weight.norm().item():.6f}")
