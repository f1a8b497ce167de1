import random
import torch
from torch import nn
import torch.nn.functional as F

N_ITEMS, DIM, HISTORY = 60, 16, 6


class SessionEncoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.clicks = nn.EmbeddingBag(N_ITEMS, DIM, mode="mean")
        self.fc = nn.Linear(DIM, DIM)

    def forward(self, history):
        return torch.tanh(self.fc(self.clicks(history)))


def sessions(n):
    for _ in range(n):
        genre = random.randrange(6)
        pool = range(genre * 10, genre * 10 + 10)
        yield {"history": random.choices(pool, k=HISTORY), "next": random.choice(pool),
               "other": random.randrange(N_ITEMS)}


def annotate(rows, encoder):
    vectors = encoder(torch.tensor([r["history"] for r in rows]))
    for row, v in zip(rows, vectors):
        row["session"] = v
    return rows


def collate(rows):
    return {
        "session": torch.stack([r["session"] for r in rows]),
        "pos": torch.tensor([r["next"] for r in rows]),
        "neg": torch.tensor([r["other"] for r in rows]),
    }


def bpr_loss(batch, table, ranker):
    def score(items):
        e = table(items)
        return ranker(torch.cat([batch["session"], e, batch["session"] * e], -1)).squeeze(-1)
    return -F.logsigmoid(score(batch["pos"]) - score(batch["neg"])).mean()


random.seed(16)
torch.manual_seed(16)
session_encoder = SessionEncoder()
item_table = nn.Embedding(N_ITEMS, DIM)
ranker = nn.Sequential(nn.Linear(3 * DIM, 32), nn.ReLU(), nn.Linear(32, 1, bias=False))
modules = nn.ModuleList([session_encoder, item_table, ranker])
optimizer = torch.optim.Adagrad(modules.parameters(), lr=0.05)

for epoch in range(8):
    rows = annotate(list(sessions(64)), session_encoder)
    loss = bpr_loss(collate(rows), item_table, ranker)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print("epoch", epoch, "bpr", f"{loss.item():.4f}")
