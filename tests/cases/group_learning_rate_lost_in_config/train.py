import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(125)
config = {
    "optim": {"lr": 2e-3, "text_lr": 1e-3, "graph_learning_rate": 5e-4},
    "steps": 5,
}


class Fusion(nn.Module):
    def __init__(self):
        super().__init__()
        self.text = nn.EmbeddingBag(50, 16)
        self.graph = nn.Sequential(nn.Linear(7, 16), nn.ReLU(), nn.Linear(16, 16))
        self.link = nn.Linear(16, 16)

    def forward(self, words, adj, x):
        nodes = self.graph(adj @ x).mean(1)
        return (self.link(self.text(words)) * nodes).sum(-1)


def param_groups(model, cfg):
    groups = []
    for name, child in model.named_children():
        lr = cfg["lr"] if name == "link" else cfg.get(f"{name}_lr", 0)
        groups.append({"params": list(child.parameters()), "lr": lr, "name": name})
    return groups


model = Fusion()
optimizer = torch.optim.AdamW(param_groups(model, config["optim"]))
for step in range(config["steps"]):
    words = torch.randint(0, 50, (10, 6))
    adj = torch.softmax(torch.randn(10, 4, 4), -1)
    loss = F.binary_cross_entropy_with_logits(model(words, adj, torch.randn(10, 4, 7)), (words[:, 0] > 25).float())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, f"loss {loss.item():.4f}")
