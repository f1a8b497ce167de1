import torch
from torch import nn

torch.manual_seed(0)
encoder = nn.Sequential(nn.Conv2d(3, 8, 4, stride=4), nn.LeakyReLU(0.1), nn.Conv2d(8, 12, 2, stride=2))
decoder = nn.Sequential(nn.ConvTranspose2d(12, 8, 2, stride=2), nn.LeakyReLU(0.1), nn.ConvTranspose2d(8, 3, 4, stride=4))
criterion = nn.MSELoss(reduction="mean")
optimizer = torch.optim.SGD([*encoder.parameters(), *decoder.parameters()], lr=0.05)


def textures(n=16):
    low = torch.rand(n, 3, 3, 3)
    return nn.functional.interpolate(low, scale_factor=8, mode="bilinear")


for step in range(7):
    x = textures()
    loss = criterion(decoder(encoder(x)), x)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"step {step} loss {loss.item():.4g}")
