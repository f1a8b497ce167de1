import itertools
import torch
import torch.nn as nn


class PointerActor(nn.Module):
    def __init__(self, dim=24):
        super().__init__()
        self.embed = nn.Linear(2, dim)
        self.encoder = nn.GRU(dim, dim, batch_first=True)
        self.cell = nn.GRUCell(dim, dim)
        self.key = nn.Linear(dim, dim, bias=False)
        self.start = nn.Parameter(torch.zeros(dim))

    def forward(self, cities):
        n, k, _ = cities.shape
        memory, h = self.encoder(self.embed(cities))
        h, keys = h[0], self.key(memory)
        inp = self.start.expand(n, -1)
        visited = torch.zeros(n, k, dtype=torch.bool)
        tour, log_prob = [], 0.0
        for _ in range(k):
            h = self.cell(inp, h)
            scores = torch.einsum("nkd,nd->nk", keys, h) / h.shape[-1] ** 0.5
            dist = torch.distributions.Categorical(logits=scores.masked_fill(visited, -1e9))
            city = dist.sample()
            log_prob = log_prob + dist.log_prob(city)
            visited = visited | nn.functional.one_hot(city, k).bool()
            inp = memory[torch.arange(n), city]
            tour.append(city)
        return torch.stack(tour, 1), log_prob


def tour_lengths(cities, tours):
    lengths = []
    for pts, order in zip(cities.tolist(), tours.tolist()):
        path = [pts[i] for i in order + order[:1]]
        lengths.append(sum(((a - c) ** 2 + (b - d) ** 2) ** 0.5 for (a, b), (c, d) in itertools.pairwise(path)))
    return torch.tensor(lengths)


torch.manual_seed(39)
actor = PointerActor()
baseline = nn.Sequential(nn.Flatten(), nn.Linear(12, 32), nn.ReLU(), nn.Linear(32, 1), nn.Flatten(0))
actor_opt = torch.optim.Adam(actor.parameters(), lr=2e-3)
baseline_opt = torch.optim.Adam(baseline.parameters(), lr=5e-3)
running = None
for it in range(12):
    cities = torch.rand(48, 6, 2)
    tours, log_prob = actor(cities)
    cost = tour_lengths(cities, tours)
    expected = baseline(cities)
    advantage = (cost - expected).detach()

    actor_opt.zero_grad()
    (advantage * log_prob).mean().backward()
    nn.utils.clip_grad_norm_(actor.parameters(), 2.0)
    actor_opt.step()

    baseline_opt.zero_grad()
    nn.functional.mse_loss(expected, cost).backward()
    baseline_opt.step()
    running = cost.mean().item() if running is None else 0.9 * running + 0.1 * cost.mean().item()
    print(f"it {it} tour {running:.4f}")
