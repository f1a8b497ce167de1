import torch
import torch.nn as nn
import torch.nn.functional as F


def hashed_trigrams(words, buckets=64):
    rows = torch.zeros(len(words), buckets)
    for i, w in enumerate(words):
        w = f"#{w}#"
        for a, b, c in zip(w, w[1:], w[2:]):
            rows[i, (ord(a) * 31 * 31 + ord(b) * 31 + ord(c)) % buckets] += 1
    return rows


class Tower(nn.Module):
    def __init__(self, buckets=64, dim=12):
        super().__init__()
        self.fc1 = nn.Linear(buckets, 32)
        self.fc2 = nn.Linear(32, dim)

    def forward(self, x):
        return F.normalize(self.fc2(torch.tanh(self.fc1(x))), dim=-1)


def ranking_loss(q, d, margin=1.2):
    sim = q @ d.t()
    pos = sim.diagonal()[:, None]
    off = ~torch.eye(len(q), dtype=torch.bool)
    return F.relu(sim - pos + margin)[off].mean()


def clicks():
    """(query, title) pairs"""
    titles = ["hammer", "ladder", "garden hose", "paint brush", "power drill", "saw blade", "work bench", "tool box",
              "wall plug", "wood screw", "duct tape", "spirit level"]
    typos = [t.replace("e", "3").replace(" ", "")[: max(4, len(t) - 1)] for t in titles]
    while True:
        pick = torch.randperm(len(titles))[:8].tolist()
        yield [typos[i] for i in pick], [titles[i] for i in pick]


torch.manual_seed(29)
query_net, doc_net = Tower(), Tower()
optimizer = torch.optim.Adam([*query_net.parameters(), *doc_net.parameters()], lr=2e-3)
for step, (queries, titles) in zip(range(10), clicks()):
    loss = ranking_loss(query_net(hashed_trigrams(queries)), doc_net(hashed_trigrams(titles)))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, "loss", round(loss.item(), 5))
