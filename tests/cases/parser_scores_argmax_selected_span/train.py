import torch
from torch import nn

torch.manual_seed(17)


class Reader(nn.Module):
    def __init__(self, vocab=60, dim=20):
        super().__init__()
        self.emb = nn.Embedding(vocab, dim)
        self.lstm = nn.LSTM(dim, dim // 2, bidirectional=True, batch_first=True)

    def forward(self, ids):
        return self.lstm(self.emb(ids))[0]


class Pointer(nn.Module):
    """Chooses the token the answer is read from."""

    def __init__(self, dim=20):
        super().__init__()
        self.query = nn.Parameter(torch.randn(dim) * 0.3)
        self.key = nn.Linear(dim, dim)

    def forward(self, states):
        scores = self.key(states) @ self.query
        return torch.argmax(scores, dim=1)


def training_loop(steps=5):
    reader, pointer, answerer = Reader(), Pointer(), nn.Linear(20, 4)
    params = [p for m in (reader, pointer, answerer) for p in m.parameters()]
    opt = torch.optim.Adam(params, lr=5e-3)
    for s in range(steps):
        ids = torch.randint(0, 60, (14, 9))
        answer = ids[:, 3] % 4
        states = reader(ids)
        where = pointer(states)
        picked = states[torch.arange(len(ids)), where]
        loss = nn.functional.cross_entropy(answerer(picked), answer)
        opt.zero_grad()
        loss.backward()
        opt.step()
        print(f"step={s} loss={loss.item():.4f} mean position={where.float().mean().item():.2f}")


training_loop()
