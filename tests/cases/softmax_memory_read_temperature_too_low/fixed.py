import torch
from torch import nn


class MemoryNet(nn.Module):
    def __init__(self, dim=16, slots=10, temperature=1.0):
        super().__init__()
        self.writer = nn.Linear(dim, dim)
        self.reader = nn.Sequential(nn.Linear(dim, dim), nn.Tanh(), nn.Linear(dim, dim))
        self.out = nn.Linear(2 * dim, 4)
        self.anchors = torch.nn.functional.normalize(torch.randn(slots, dim), dim=1)
        self.temperature = temperature

    def read(self, memory, query):
        key = self.reader(query)
        score = torch.einsum("bd,sd->bs", key, self.anchors) / self.temperature
        attn = torch.softmax(score, dim=1)
        return torch.einsum("bs,bsd->bd", attn, memory)

    def forward(self, items, query):
        memory = self.writer(items)
        return self.out(torch.cat([self.read(memory, query), query], dim=1))


def episode(n=20):
    items = torch.randn(n, 10, 16)
    query = torch.randn(n, 16)
    return items, query, items[:, 3, :4].argmax(1)


def main(steps=7):
    torch.manual_seed(6)
    ntm = MemoryNet(temperature=1.0)
    optimizer = torch.optim.RMSprop(ntm.parameters(), lr=1e-3, momentum=0.9)
    for step in range(steps):
        items, query, answer = episode()
        loss = nn.functional.cross_entropy(ntm(items, query), answer)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_value_(ntm.parameters(), 1.0)
        optimizer.step()
        print("episode", step, "loss", loss.item())


main()
