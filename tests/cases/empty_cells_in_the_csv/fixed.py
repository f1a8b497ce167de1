import io
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

CSV = """temp,wind,humidity,load
12.1,3.4,80,410
13.0,2.2,78,402
15.2,,70,380
11.7,5.1,83,431
9.9,4.0,85,455
10.4,3.3,88,447
17.8,1.2,60,350
16.1,2.0,66,371
8.8,6.2,90,470
9.1,5.8,,468
14.4,2.7,73,392
12.9,3.0,77,405
"""


def read(text):
    table = np.genfromtxt(io.StringIO(text), delimiter=",", skip_header=1, dtype=np.float32)
    return table[:, :3], table[:, 3:]


def standardise(a):
    return np.nan_to_num((a - np.nanmean(a, 0)) / np.nanstd(a, 0))


torch.manual_seed(0)
x, y = read(CSV)
data = TensorDataset(torch.from_numpy(standardise(x)), torch.from_numpy(standardise(y)))
loader = DataLoader(data, batch_size=6, shuffle=False)
model = nn.Sequential(nn.Linear(3, 16), nn.ReLU(), nn.Linear(16, 1))
calendar = nn.Embedding(2, 1)
opt = torch.optim.Adam([*model.parameters(), *calendar.parameters()], lr=1e-2)
for epoch in range(4):
    for i, (xb, yb) in enumerate(loader):
        weekend = torch.arange(len(xb)) % 2
        loss = (model(xb) - yb).square().mean()
        prior = (calendar(weekend) - yb).square().mean()
        opt.zero_grad()
        (loss + prior).backward()
        opt.step()
    print(epoch, loss.item(), prior.item())
