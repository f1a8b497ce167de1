import torch
from torch import nn

torch.manual_seed(257)
features = nn.Sequential(nn.Linear(10, 16), nn.Tanh(), nn.Linear(16, 4, bias=False))
critic = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 1, bias=False))
opt_f = torch.optim.RMSprop(features.parameters(), lr=5e-4)
opt_c = torch.optim.RMSprop(critic.parameters(), lr=5e-4)

for it in range(8):
    source, target = torch.randn(32, 10), torch.randn(32, 10) + 0.7
    with torch.no_grad():
        fs, ft = features(source), features(target)
    loss_c = critic(fs).mean() - critic(ft).mean()
    opt_c.zero_grad()
    loss_c.backward()
    opt_c.step()
    for p in critic.parameters():
        p.data.clamp_(-0.4, 0.4)

    if it % 2:
        align = critic(features(target)).mean() - critic(features(source)).mean()
        opt_f.zero_grad()
        align.backward()
        opt_f.step()
        print(f"it {it} critic {loss_c.item():+.5f} align {align.item():+.5f}")
