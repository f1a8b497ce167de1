import torch
from torch import nn

torch.manual_seed(4)
encoder = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 8))
head = nn.Linear(8, 3)
optimizer = torch.optim.Adam([*encoder.parameters(), *head.parameters()], lr=1e-3)
criterion = nn.CrossEntropyLoss()
X = torch.randn(240, 16)
Y = (X[:, 0] > 0).long() + (X[:, 1] > 0).long()


def evaluate(loader, max_batches=None):
    torch.set_grad_enabled(False)
    encoder.eval(), head.eval()
    correct = total = 0
    for i, (x, y) in enumerate(loader):
        if max_batches is not None and i >= max_batches:
            encoder.train(), head.train()
            torch.set_grad_enabled(True)
            return correct / total
        correct += (head(encoder(x)).argmax(1) == y).sum().item()
        total += len(y)
    encoder.train(), head.train()
    torch.set_grad_enabled(True)
    return correct / total


def batches(idx, size=24):
    return [(X[i], Y[i]) for i in idx.split(size)]


perm = torch.randperm(240)
train_idx, val_idx = perm[:192], perm[192:]
print("sanity check", evaluate(batches(val_idx), max_batches=1))
for x, y in batches(train_idx):
    loss = criterion(head(encoder(x)), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print("loss", round(loss.item(), 4))
