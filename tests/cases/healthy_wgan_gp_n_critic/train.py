import torch
from torch import nn


class Critic(nn.Module):
    def __init__(self, dim=8):
        super().__init__()
        self.hidden = nn.Linear(dim, 24)
        self.out = nn.Linear(24, 1)

    def forward(self, x):
        return self.out(torch.tanh(self.hidden(x)))


def gradient_penalty(critic, real, fake):
    mix = torch.rand(len(real), 1)
    x = (mix * real + (1 - mix) * fake).requires_grad_(True)
    grad, = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
    return (grad.norm(2, dim=1) - 1).pow(2).mean()


class WGAN:
    def __init__(self, n_critic=3):
        self.gen = nn.Sequential(nn.Linear(4, 24), nn.ReLU(), nn.Linear(24, 8))
        self.critic = Critic()
        self.n_critic = n_critic
        self.g_opt = torch.optim.Adam(self.gen.parameters(), lr=1e-3, betas=(0.0, 0.9))
        self.c_opt = torch.optim.Adam(self.critic.parameters(), lr=1e-3, betas=(0.0, 0.9))

    def train(self, iters):
        for it in range(iters):
            real = torch.randn(16, 8) * 0.5 + 1
            with torch.no_grad():
                fake = self.gen(torch.randn(16, 4))
            loss = self.critic(fake).mean() - self.critic(real).mean()
            loss = loss + 10 * gradient_penalty(self.critic, real, fake)
            self.c_opt.zero_grad()
            loss.backward()
            self.c_opt.step()
            if (it + 1) % self.n_critic == 0:
                g_loss = -self.critic(self.gen(torch.randn(16, 4))).mean()
                self.g_opt.zero_grad()
                g_loss.backward()
                self.g_opt.step()
                print(f"iteration {it} critic {loss.item():.4f} generator {g_loss.item():.4f}")


torch.manual_seed(203)
wgan = WGAN()
wgan.train(9)
