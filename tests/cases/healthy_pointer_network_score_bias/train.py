import torch
from torch import nn


class Pointer(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.query = nn.Linear(d, d)
        self.memory = nn.Linear(d, d, bias=False)
        self.score = nn.Linear(d, 1)

    def forward(self, h):
        e = torch.tanh(self.memory(h) + self.query(h[:, -1:]))
        return self.score(e).squeeze(-1)


torch.manual_seed(0)
reader = nn.GRU(4, 20, batch_first=True)
pointer = Pointer(20)
optimizer = torch.optim.Adam([*reader.parameters(), *pointer.parameters()], lr=3e-3)
for step in range(10):
    seq = torch.randn(48, 9, 4)
    where = seq[:, :, 0].argmax(1)
    logits = pointer(reader(seq)[0])
    loss = nn.functional.cross_entropy(logits, where)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"{step} nll {loss.item():.4f}")
