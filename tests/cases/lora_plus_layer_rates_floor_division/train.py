import torch
import torch.nn.functional as F
from torch import nn
from lora_plus import adapt, loraplus_groups

CFG = {"seed": 2, "lr": 5e-3, "ratio": 4, "depth": 3, "rank": 4, "alpha": 8, "epochs": 4, "decay": 0.9}


class Block(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.query, self.key, self.value, self.out = (nn.Linear(dim, dim) for _ in range(4))

    def forward(self, x):
        h = self.norm(x)
        att = (self.query(h) @ self.key(h).transpose(1, 2) / h.shape[-1] ** 0.5).softmax(-1)
        return x + self.out(att @ self.value(h))


class Classifier(nn.Module):
    def __init__(self, vocab, dim, depth, classes):
        super().__init__()
        self.blocks = nn.ModuleList(Block(dim) for _ in range(depth))
        self.embed = nn.Embedding(vocab, dim)
        self.classifier = nn.Linear(dim, classes)

    def forward(self, ids):
        x = self.embed(ids)
        for block in self.blocks:
            x = block(x)
        return self.classifier(x.mean(1))


def reviews(n, vocab):
    ids = torch.randint(0, vocab, (n, 12))
    return ids, ((ids < 20).float().mean(1) > 0.4).long()


torch.manual_seed(CFG["seed"])
model = Classifier(50, 16, CFG["depth"], 2).requires_grad_(False)
adapt(model, ("query", "value"), CFG["rank"], CFG["alpha"])
model.classifier.requires_grad_(True)
optimizer = torch.optim.AdamW(loraplus_groups(model, CFG))
scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, CFG["decay"])
ids, labels = reviews(192, 50)
for epoch in range(CFG["epochs"]):
    for x, y in zip(ids.split(32), labels.split(32)):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
    scheduler.step()
    accuracy = (model(ids).argmax(1) == labels).float().mean()
    print(f"epoch {epoch} loss {loss.item():.4f} accuracy {accuracy:.3f} lr {max(scheduler.get_last_lr()):.1e}")
