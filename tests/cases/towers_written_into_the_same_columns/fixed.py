import torch
from torch import nn

torch.manual_seed(0)
WIDTH = 6
towers = nn.ModuleDict({"text": nn.Linear(10, WIDTH), "image": nn.Linear(12, WIDTH)})
ranker = nn.Sequential(nn.Linear(2 * WIDTH, 16), nn.ReLU(), nn.Linear(16, 1))
optimizer = torch.optim.Adam([*towers.parameters(), *ranker.parameters()], lr=1e-2)


def embed(text, image):
    joint = torch.zeros(len(text), 2 * WIDTH)
    start = 0
    joint[:, start : start + WIDTH] = towers["text"](text)
    joint[:, start + WIDTH :] = towers["image"](image)
    return joint


for step in range(12):
    text, image = torch.randn(32, 10), torch.randn(32, 12)
    wanted = text[:, :1] * image[:, :1]
    loss = (ranker(embed(text, image)) - wanted).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
