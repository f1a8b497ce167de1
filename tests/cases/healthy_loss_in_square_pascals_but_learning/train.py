import torch
from torch import nn

torch.manual_seed(0)
pressure_net = nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 1))
flow_net = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 1))
opt_p = torch.optim.Adam(pressure_net.parameters(), lr=2e-2)
opt_f = torch.optim.Adam(flow_net.parameters(), lr=2e-2)
UNIT = 1000.0                                   # kPa -> Pa

for step in range(20):
    pump = torch.rand(128, 4)
    pressure = UNIT * (1 + pump[:, :1] - 0.5 * pump[:, 1:2])
    flow = pump[:, 2:3] * 2
    p_loss = (UNIT * pressure_net(pump) - pressure).pow(2).mean()
    opt_p.zero_grad()
    p_loss.backward()
    opt_p.step()
    f_loss = (flow_net(pump) - flow).pow(2).mean()
    opt_f.zero_grad()
    f_loss.backward()
    opt_f.step()
    print(step, f"{p_loss.item():.1f} Pa^2", f"{f_loss.item():.4f}")
