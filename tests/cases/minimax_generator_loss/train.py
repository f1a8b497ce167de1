import torch
import torch.nn as nn
import torch.nn.functional as F


def mlp(*sizes, act=nn.LeakyReLU):
    layers = []
    for a, b in zip(sizes, sizes[1:]):
        layers += [nn.Linear(a, b), act()]
    return nn.Sequential(*layers[:-1])


class GAN:
    def __init__(self, noise=4, data=2, lr=1e-3, temperature=0.5):
        self.noise, self.temperature = noise, temperature
        self.generator = mlp(noise, 32, 32, data)
        nn.init.constant_(self.generator[-1].bias, 20.0)
        self.discriminator = mlp(data, 32, 32, 1)
        self.opt_g = torch.optim.SGD(self.generator.parameters(), lr=5e-3, momentum=0.5)
        self.opt_d = torch.optim.Adam(self.discriminator.parameters(), lr=lr)

    def sample(self, n):
        return self.generator(torch.randn(n, self.noise))

    def judge(self, x):
        return self.discriminator(x) / self.temperature

    def discriminator_loss(self, real):
        d_real = self.judge(real)
        d_fake = self.judge(self.sample(len(real)).detach())
        keep = torch.full_like(d_real, 0.9)
        return F.binary_cross_entropy_with_logits(d_real, keep) + F.binary_cross_entropy_with_logits(d_fake, torch.zeros_like(d_fake))

    def generator_loss(self, n):
        rejected = F.logsigmoid(-self.judge(self.sample(n)))
        return rejected.mean()


def ring(n, radius=8.0):
    angle = torch.randint(8, (n,)) * (torch.pi / 4)
    return radius * torch.stack([angle.cos(), angle.sin()], 1) + 0.2 * torch.randn(n, 2)


def train(gan, rounds, d_steps, batch=64):
    for r in range(rounds):
        for _ in range(d_steps if r else 200):
            loss_d = gan.discriminator_loss(ring(batch))
            gan.opt_d.zero_grad()
            loss_d.backward()
            gan.opt_d.step()
        loss_g = gan.generator_loss(batch)
        gan.opt_g.zero_grad()
        loss_g.backward()
        gan.opt_g.step()
        print(f"round {r} d {loss_d.item():.4f} g {loss_g.item():.3e}")


torch.manual_seed(3)
gan = GAN(lr=1e-2)
train(gan, rounds=7, d_steps=3)
