import torch
from torch import nn
from schedule import linear_scheduler

cfg = {"train": {"num_epochs": 3, "batch_size": 16, "warmup": 1}, "optimizer": {"lr": 5e-3}}
torch.manual_seed(36)


class BoxEncoder(nn.Module):
    def __init__(self, dim=20):
        super().__init__()
        self.word, self.box = nn.Embedding(40, dim), nn.Linear(4, dim)

    def forward(self, words, boxes):
        return torch.tanh(self.word(words) + self.box(boxes))


class RelationHead(nn.Module):
    def __init__(self, dim=20):
        super().__init__()
        self.q, self.k = nn.Linear(dim, dim, bias=False), nn.Linear(dim, dim, bias=False)

    def forward(self, h):
        return self.q(h) @ self.k(h).transpose(1, 2) / 4


encoder, relation = BoxEncoder(), RelationHead()
optimizer = torch.optim.Adam([*encoder.parameters(), *relation.parameters()], lr=cfg["optimizer"]["lr"])
scheduler = linear_scheduler(optimizer, cfg["train"]["warmup"], cfg["train"]["num_epochs"])
words, boxes = torch.arange(40).repeat(12, 1)[:, torch.randperm(40)[:10]].repeat(4, 1), torch.rand(48, 10, 4)

for epoch in range(cfg["train"]["num_epochs"]):
    for idx in torch.randperm(48).split(cfg["train"]["batch_size"]):
        scores = relation(encoder(words[idx], boxes[idx]))
        nearest = torch.cdist(boxes[idx], boxes[idx]).add(10 * torch.eye(10)).argmin(-1)
        loss = nn.functional.cross_entropy(scores.flatten(0, 1), nearest.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
    print(f"TRAIN [epoch: {epoch}/{cfg['train']['num_epochs']}] || loss {loss.item():.4f} || lr {scheduler.get_last_lr()[0]:.1e}")
