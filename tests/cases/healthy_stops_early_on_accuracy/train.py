import torch
from torch import nn


def accuracy(logits, y):
    return (logits.argmax(1) == y).float().mean().item()


def train(embed, classify, max_steps=50, goal=0.9):
    opt = torch.optim.Adam(nn.ModuleList([embed, classify]).parameters(), lr=2e-2)
    for step in range(max_steps):
        ids = torch.randint(0, 12, (64,))
        y = (ids % 2).long()
        logits = classify(embed(ids))
        acc = accuracy(logits, y)
        print(f"step {step} accuracy {acc:.3f}")
        if acc >= goal:
            print("good enough, stopping")
            break
        opt.zero_grad()
        loss = nn.functional.cross_entropy(logits, y)
        loss.backward()
        opt.step()


torch.manual_seed(253)
embed, classify = nn.Embedding(12, 8), nn.Linear(8, 2)
train(embed, classify)
