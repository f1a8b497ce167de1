import torch
from torch import nn
import torch.nn.functional as F
from prices import load_listings

torch.manual_seed(0)
listing_net = nn.Sequential(nn.Linear(7, 24), nn.Tanh())
photo_net = nn.Sequential(nn.Linear(12, 24), nn.Tanh())
head = nn.Linear(48, 1)
params = [*listing_net.parameters(), *photo_net.parameters(), *head.parameters()]
sgd = torch.optim.SGD(params, lr=0.1, momentum=0.9)

table, photos, price = load_listings(256)
price = (price - price.mean()) / price.std()


def predict(rows):
    h = torch.cat([listing_net(table[rows]), photo_net(photos[rows])], dim=1)
    return head(h).squeeze(1)


for step in range(8):
    rows = torch.randint(0, 256, (64,))
    loss = F.mse_loss(predict(rows), price[rows])
    sgd.zero_grad()
    loss.backward()
    sgd.step()
    print(f"step {step:2d}  rmse {loss.sqrt().item():.3f}")
