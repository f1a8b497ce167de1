import torch
import torch.nn.functional as F
from models import NextItemModel

OPTIONS = {"items": 60, "dim": 16, "lr": 3e-3, "embedding_lr": 1e-2, "batch": 32, "negatives": 5}


def load_text_vectors(items, dim):
    vectors = torch.randn(items, dim) * 0.4
    vectors[0] = 0
    return vectors


def sample_batch(opt):
    history = torch.randint(1, opt["items"], (opt["batch"], 8))
    positive = (history[:, -1:] % (opt["items"] - 1)) + 1
    negative = torch.randint(1, opt["items"], (opt["batch"], opt["negatives"]))
    return history, torch.cat([positive, negative], dim=1)


def bpr(scores):
    return -F.logsigmoid(scores[:, :1] - scores[:, 1:]).mean()


def build_optimizer(model, opt):
    rest = [p for n, p in model.named_parameters() if not n.startswith("item_vectors")]
    return torch.optim.Adam([
        {"params": rest, "lr": opt["lr"]},
        {"params": model.item_vectors.parameters(), "lr": opt["embedding_lr"]},
    ])


torch.manual_seed(2046)
recommender = NextItemModel(load_text_vectors(OPTIONS["items"], OPTIONS["dim"]))
optimizer = build_optimizer(recommender, OPTIONS)
for step in range(30):
    loss = bpr(recommender(*sample_batch(OPTIONS)))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 10 == 0:
        print("step", step, "bpr", round(loss.item(), 4))
