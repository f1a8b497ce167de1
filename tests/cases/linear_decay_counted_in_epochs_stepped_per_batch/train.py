import torch
from torch import nn
from torch.optim.lr_scheduler import LinearLR

EPOCHS, BATCHES = 3, 4


class Imputer(nn.Module):
    def __init__(self, cols=10):
        super().__init__()
        self.enc = nn.Linear(2 * cols, 24)
        self.dec = nn.Linear(24, cols)

    def forward(self, x, seen):
        return self.dec(torch.relu(self.enc(torch.cat([x * seen, seen], -1))))


torch.manual_seed(127)
imputer = Imputer()
optimizer = torch.optim.SGD(imputer.parameters(), lr=0.05)
decay = LinearLR(optimizer, start_factor=1.0, end_factor=0.0, total_iters=EPOCHS)

for epoch in range(EPOCHS):
    for b in range(BATCHES):
        table = torch.randn(24, 10)
        seen = (torch.rand_like(table) > 0.3).float()
        loss = ((imputer(table, seen) - table) * (1 - seen)).pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        decay.step()
        print(f"epoch {epoch} batch {b} lr {decay.get_last_lr()[0]:.4f} loss {loss.item():.4f}")
