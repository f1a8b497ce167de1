import torch
from torch import nn

PAD = 0


class ReviewModel(nn.Module):
    def __init__(self, vocab=60, dim=20):
        super().__init__()
        self.encoder = nn.Sequential(nn.Embedding(vocab, dim, padding_idx=PAD), nn.Linear(dim, dim), nn.Tanh())
        self.pool = nn.Linear(dim, 1, bias=False)
        self.stars = nn.Linear(dim, 5)

    def forward(self, ids):
        h = self.encoder(ids)
        score = self.pool(h).squeeze(-1)
        score = score.masked_fill(ids == PAD, float("-inf"))
        return self.stars((score.softmax(dim=1)[..., None] * h).sum(1))


def reviews(n_batches):
    for b in range(n_batches):
        ids = torch.randint(1, 60, (16, 9))
        lengths = torch.randint(3, 10, (16,))
        if b == 4:
            lengths[2] = 0
        ids[torch.arange(9)[None] >= lengths[:, None]] = PAD
        yield ids, ids[:, 0] % 5


def main():
    torch.manual_seed(0)
    model = ReviewModel()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for b, (ids, stars) in enumerate(reviews(7)):
        loss = nn.functional.cross_entropy(model(ids), stars)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(f"batch {b}: {loss.item():.4f}")


main()
