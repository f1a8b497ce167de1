import torch
from torch import nn
from census import load

torch.manual_seed(0)
table, rent, vacancy = load(200)
table = (table - table.mean(0)) / table.std(0)
rent_net = nn.Sequential(nn.Linear(4, 24), nn.ReLU(), nn.Linear(24, 1))
vacancy_net = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1))
optimizer = torch.optim.SGD([*rent_net.parameters(), *vacancy_net.parameters()], lr=0.01, momentum=0.9)

for epoch in range(2):
    for rows in torch.arange(200).split(50):
        a = (rent_net(table[rows]).squeeze(1) - rent[rows]).pow(2).mean()
        b = (vacancy_net(rent[rows, None]).squeeze(1) - vacancy[rows]).pow(2).mean()
        optimizer.zero_grad()
        (a + b).backward()
        optimizer.step()
        print(f"epoch {epoch} rent {a.item():.4g} vacancy {b.item():.4g}")
