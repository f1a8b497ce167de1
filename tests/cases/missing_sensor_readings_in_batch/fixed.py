import torch
from torch import nn
from fixed_stations import read_log, windows

torch.manual_seed(0)
log = read_log(hours=400)
encoder = nn.GRU(3, 16, batch_first=True)
forecaster = nn.Linear(16, 3)
optimizer = torch.optim.Adam([*encoder.parameters(), *forecaster.parameters()], lr=2e-3)

for batch, (past, future) in enumerate(windows(log, width=24, size=16)):
    hidden, _ = encoder(past)
    loss = nn.functional.l1_loss(forecaster(hidden[:, -1]), future)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print("batch", batch, "mae", loss.item())
    if batch == 7:
        break
