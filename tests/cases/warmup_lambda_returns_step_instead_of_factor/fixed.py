import torch
from torch import nn


class Nets(nn.Module):
    def __init__(self):
        super().__init__()
        self.actor = nn.Sequential(nn.Linear(6, 24), nn.Tanh(), nn.Linear(24, 2))
        self.critic = nn.Sequential(nn.Linear(8, 48), nn.LeakyReLU(), nn.Linear(48, 48), nn.LeakyReLU(), nn.Linear(48, 1))


def warmup(step):
    return min(1.0, (1 + step) / 10)


torch.manual_seed(0)
nets = Nets()
actor_opt = torch.optim.Adam(nets.actor.parameters(), lr=1e-3)
critic_opt = torch.optim.SGD(nets.critic.parameters(), lr=0.1)
schedule = torch.optim.lr_scheduler.LambdaLR(critic_opt, warmup)

for step in range(16):
    obs = torch.randn(64, 6)
    expert = torch.tanh(obs[:, :2] - obs[:, 2:4])
    imitation = (nets.actor(obs) - expert).pow(2).mean()
    actor_opt.zero_grad()
    imitation.backward()
    actor_opt.step()

    value = nets.critic(torch.cat([obs, expert], 1)).squeeze(1)
    regress = (value - 2 * obs[:, 0] - obs[:, 1] + 1).pow(2).mean()
    critic_opt.zero_grad()
    regress.backward()
    critic_opt.step()
    schedule.step()
    print(f"step {step} lr {schedule.get_last_lr()[0]:.2f} imitation {imitation.item():.3f} critic {regress.item():.4g}")
