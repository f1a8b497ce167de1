import torch
from torch import nn

torch.manual_seed(0)
store_emb = nn.Embedding(12, 8)
sales_net = nn.Sequential(nn.Linear(8 + 5, 32), nn.ReLU(), nn.Linear(32, 1), nn.Softplus())
params = list(store_emb.parameters()) + list(sales_net.parameters())
optimizer = torch.optim.Adam(params, lr=5e-3)


def mape(forecast, actual):
    return ((forecast - actual) / actual.clamp(min=1)).abs().mean()


def week(w):
    store = torch.arange(12)
    weather = torch.randn(12, 5)
    actual = 20 + 3.0 * store + 2 * weather[:, 0]
    if w == 3:
        actual[5] = 0.0                       # closed for renovation
    return store, weather, actual


for w in range(7):
    store, weather, actual = week(w)
    forecast = sales_net(torch.cat([store_emb(store), weather], 1)).squeeze(1)
    loss = mape(forecast, actual)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"week {w} mape {100 * loss.item():.1f}%")
