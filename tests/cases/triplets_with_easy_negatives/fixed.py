import torch
from torch import nn


class PlaceEncoder(nn.Module):
    def __init__(self, n_in=64, n_out=32):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(n_in, 96), nn.GELU(), nn.Linear(96, n_out))

    def forward(self, x):
        return self.net(x)


class TripletTask:
    def __init__(self, places=50, margin=0.1):
        self.places = torch.randn(places, 64) * 12          # raw descriptor of each place
        self.criterion = nn.TripletMarginWithDistanceLoss(distance_function=lambda u, v: 1 - nn.functional.cosine_similarity(u, v), margin=1.0)

    def draw(self, n):
        i = torch.randint(0, 25, (n,))
        j = (i + 1) % 25
        anchor = self.places[i]
        return anchor, anchor + 0.3 * torch.randn_like(anchor), self.places[j], i % 5

    def loss(self, enc, anchor, pos, neg):
        return self.criterion(enc(anchor), enc(pos), enc(neg))


torch.manual_seed(0)
task = TripletTask()
encoder = PlaceEncoder()
season = nn.Linear(64, 5)
opt = torch.optim.Adam([{"params": encoder.parameters()}, {"params": season.parameters(), "lr": 1e-4}], lr=1e-3)
for it in range(8):
    a, p, n, s = task.draw(24)
    metric = task.loss(encoder, a, p, n)
    aux = nn.functional.cross_entropy(season(a), s)
    opt.zero_grad()
    (metric + aux).backward()
    opt.step()
    print(it, "triplet", metric.item(), "season", aux.item())
