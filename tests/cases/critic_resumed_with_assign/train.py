import io

import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(103)
cfg = {"z": 12, "lr_g": 2e-4, "lr_d": 4e-4, "betas": (0.0, 0.9), "iters": 20, "warmup": 6}


class Generator(nn.Module):
    def __init__(self, z):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(z, 48), nn.LeakyReLU(0.2), nn.Linear(48, 32))

    def forward(self, z):
        return torch.tanh(self.net(z))


class Critic(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Linear(32, 48), nn.LeakyReLU(0.2))
        self.score = nn.Linear(48, 1)

    def forward(self, x):
        return self.score(self.features(x)).squeeze(1)


def real_batch(n=32):
    phase = torch.rand(n, 1) * 6.28
    return torch.sin(torch.linspace(0, 6.28, 32) + phase)


def pretrain_critic(iters):
    critic = Critic()
    opt = torch.optim.Adam(critic.parameters(), lr=1e-3)
    for _ in range(iters):
        loss = F.softplus(-critic(real_batch())).mean() + F.softplus(critic(torch.rand(32, 32) * 2 - 1)).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
    file = io.BytesIO()
    torch.save({"critic": critic.state_dict(), "iters": iters}, file)
    return file


class GANTrainer:
    def __init__(self, cfg):
        self.cfg = cfg
        self.generator, self.critic = Generator(cfg["z"]), Critic()
        self.opts = {"g": torch.optim.Adam(self.generator.parameters(), cfg["lr_g"], cfg["betas"]),
                     "d": torch.optim.Adam(self.critic.parameters(), cfg["lr_d"], cfg["betas"])}

    def resume(self, file):
        file.seek(0)
        state = torch.load(file, weights_only=True)
        self.critic.load_state_dict(state["critic"], assign=True)
        print("resumed critic from iteration", state["iters"])

    def update(self, key, loss):
        self.opts[key].zero_grad()
        loss.backward()
        self.opts[key].step()
        return loss.item()

    def iteration(self):
        real, z = real_batch(), torch.randn(32, self.cfg["z"])
        fake = self.generator(z).detach()
        d = self.update("d", F.softplus(-self.critic(real)).mean() + F.softplus(self.critic(fake)).mean())
        g = self.update("g", F.softplus(-self.critic(self.generator(z))).mean())
        return d, g


trainer = GANTrainer(cfg)
trainer.resume(pretrain_critic(cfg["warmup"]))
for it in range(cfg["iters"]):
    d_loss, g_loss = trainer.iteration()
    if it % 4 == 0:
        print(f"iter {it} loss_d {d_loss:.3f} loss_g {g_loss:.3f}")
