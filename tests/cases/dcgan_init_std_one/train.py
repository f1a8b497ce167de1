import torch
from torch import nn
from networks import Generator, weights_init

torch.manual_seed(0)
mapping = nn.Sequential(nn.Linear(8, 16), nn.LeakyReLU(0.2))
generator = Generator(16)
generator.apply(weights_init)
opt = torch.optim.Adam([*mapping.parameters(), *generator.parameters()], lr=2e-4, betas=(0.5, 0.999))
opt_brightness = torch.optim.Adam((brightness := nn.Linear(8, 1)).parameters(), lr=1e-3)

for step in range(6):
    z = torch.randn(8, 8)
    target = torch.sigmoid(z[:, :1, None, None]).expand(-1, -1, 16, 16)
    fake = generator(mapping(z).view(8, 16, 1, 1))
    loss = (fake - target).square().mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    b_loss = (brightness(z) - target.mean((1, 2, 3))[:, None]).square().mean()
    opt_brightness.zero_grad()
    b_loss.backward()
    opt_brightness.step()
    print(step, f"{loss.item():.3e}", f"{b_loss.item():.3f}")
