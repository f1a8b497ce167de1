import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

torch.manual_seed(0)
encoder = nn.Sequential(nn.Linear(12, 16), nn.Tanh(), nn.Linear(16, 6))
decoder = nn.Linear(6, 12)
smooth = AveragedModel(encoder, multi_avg_fn=get_ema_multi_avg_fn(0.95))
optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=1e-2)

for step in range(16):
    x = torch.randn(32, 12)
    code = smooth(x)
    loss = nn.functional.mse_loss(decoder(code), x)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    smooth.update_parameters(encoder)
