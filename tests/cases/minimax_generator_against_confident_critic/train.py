import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(0)
generator = nn.Sequential(nn.Linear(4, 24), nn.ReLU(), nn.Linear(24, 6))
discriminator = nn.Sequential(nn.Linear(6, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1))
g_opt = torch.optim.SGD(generator.parameters(), lr=1e-2)
d_opt = torch.optim.Adam(discriminator.parameters(), lr=3e-2)
nn.init.constant_(generator[2].bias, -20.0)         # the sensor's dark level


def real_batch(n=64):
    return 40 + 10 * torch.randn(n, 6)


def d_step():
    fake = generator(torch.randn(64, 4)).detach()
    real_logit = discriminator(real_batch())
    smooth = torch.full_like(real_logit, 0.9)
    loss = F.binary_cross_entropy_with_logits(real_logit, smooth) + F.softplus(discriminator(fake)).mean()
    d_opt.zero_grad()
    loss.backward()
    d_opt.step()
    return loss.item()


def g_step():
    logit = discriminator(generator(torch.randn(64, 4)))
    loss = -F.softplus(logit).mean()                # log(1 - D(G(z)))
    g_opt.zero_grad()
    loss.backward()
    g_opt.step()
    return loss.item()


for _ in range(120):                                # a good critic first
    d_step()
for it in range(8):
    print("it", it, "D", d_step(), "G", g_step())
