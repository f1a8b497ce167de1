import torch
from torch import nn

torch.manual_seed(0)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(10, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())
        self.decoder = nn.Linear(64, 10)

    def forward(self, x):
        return self.decoder(self.encoder(x))


net = Net()
opt = torch.optim.AdamW(net.parameters(), lr=2e-3)
scaler = torch.amp.GradScaler("cpu", init_scale=2.0 ** 24, growth_interval=100)
for step in range(12):
    x = torch.randn(64, 10)
    with torch.autocast("cpu", dtype=torch.float16):
        out = net(x)
    loss = (out.float() - x.roll(1, 1)).square().mean()
    opt.zero_grad()
    scaler.scale(loss).backward()
    scaler.unscale_(opt)
    norm = nn.utils.clip_grad_norm_(net.parameters(), 5.0)
    before = scaler.get_scale()
    scaler.step(opt)
    scaler.update()
    print(step, loss.item(), "norm", float(norm), "skipped" if scaler.get_scale() < before else "stepped")
