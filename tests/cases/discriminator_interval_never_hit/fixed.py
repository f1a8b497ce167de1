import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(153)


class Inpainter:
    def __init__(self, d_every=2, d_start=10):
        self.completion = nn.Sequential(nn.Linear(32, 40), nn.ReLU(), nn.Linear(40, 16))
        self.discriminator = nn.Sequential(nn.Linear(16, 20), nn.LeakyReLU(0.2), nn.Linear(20, 1))
        self.opt_c = torch.optim.Adam(self.completion.parameters(), lr=1e-3)
        self.opt_d = torch.optim.Adam(self.discriminator.parameters(), lr=1e-3)
        self.global_step, self.d_every, self.d_start = 0, d_every, d_start

    def step(self, image):
        hole = (torch.rand_like(image) > 0.5).float()
        filled = self.completion(torch.cat([image * (1 - hole), hole], -1))

        d_loss = F.softplus(-self.discriminator(image)).mean() + F.softplus(self.discriminator(filled.detach())).mean()
        self.opt_d.zero_grad()
        d_loss.backward()
        if self.global_step % self.d_every == 0:
            self.opt_d.step()

        c_loss = F.mse_loss(filled, image) + 0.05 * F.softplus(-self.discriminator(filled)).mean()
        self.opt_c.zero_grad()
        c_loss.backward()
        self.opt_c.step()
        self.global_step += 2        # two networks, two updates
        return c_loss.item(), d_loss.item()


inpainter = Inpainter()
for it in range(8):
    print("it %d c %.4f d %.4f" % (it, *inpainter.step(torch.rand(16, 16))))
