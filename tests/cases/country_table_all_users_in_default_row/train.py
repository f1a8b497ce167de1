import torch
from torch import nn

COUNTRIES = ["AT", "BE", "CH", "FR", "IT", "DE"]
CODE = {name: i for i, name in enumerate(COUNTRIES)}


class Ranker(nn.Module):
    def __init__(self, n_items=40, dim=8):
        super().__init__()
        self.country = nn.EmbeddingBag(len(COUNTRIES), dim, mode="sum", padding_idx=-1)
        self.item = nn.Embedding(n_items, dim)
        self.mlp = nn.Sequential(nn.Linear(2 * dim, 16), nn.ReLU(), nn.Linear(16, 1))

    def forward(self, countries, item):
        user = self.country(countries)
        return self.mlp(torch.cat([user, self.item(item)], dim=-1)).squeeze(-1)


class Job:
    def __init__(self):
        self.ranker = Ranker()
        self.opt = torch.optim.Adam(self.ranker.parameters(), lr=2e-3)
        self.loss_fn = nn.BCEWithLogitsLoss()

    def batches(self, n, size=50):
        for _ in range(n):
            item = torch.randint(0, 40, (size,))
            homes = torch.full((size, 2), CODE["DE"])          # home and billing country
            yield homes, item, (item % 3 == 0).float()

    def run(self):
        for i, (homes, item, bought) in enumerate(self.batches(7)):
            loss = self.loss_fn(self.ranker(homes, item), bought)
            self.opt.zero_grad()
            loss.backward()
            self.opt.step()
            print("batch", i, "logloss", f"{loss.item():.4f}")


torch.manual_seed(0)
job = Job()
job.run()
