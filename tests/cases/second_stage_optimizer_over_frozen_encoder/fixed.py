import torch
from torch import nn

torch.manual_seed(63)


def build():
    encoder = nn.Sequential(nn.Linear(25, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU())
    return encoder, nn.Linear(16, 3)


def epoch(encoder, head, optimizers, tag, n=3):
    for i in range(n):
        x = torch.randn(30, 25)
        y = x[:, :3].argmax(1)
        loss = nn.functional.cross_entropy(head(encoder(x)), y)
        for o in optimizers:
            o.zero_grad()
        loss.backward()
        for o in optimizers:
            o.step()
        print(f"[{tag}] {i} {loss.item():.4f}")


def linear_probe(encoder, head):
    for p in encoder.parameters():
        p.requires_grad = False
    epoch(encoder, head, [torch.optim.Adam(head.parameters(), lr=1e-2)], "probe")


def finetune(encoder, head):
    encoder.train()
    encoder.requires_grad_(True)
    optimizers = [
        torch.optim.Adam(encoder.parameters(), lr=1e-4),
        torch.optim.Adam(head.parameters(), lr=1e-3),
    ]
    epoch(encoder, head, optimizers, "finetune", n=4)


def main():
    encoder, head = build()
    linear_probe(encoder, head)
    finetune(encoder, head)


main()
