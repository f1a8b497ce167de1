import torch
from torch import nn
from torch.distributions import Categorical

torch.manual_seed(139)


class Bandit:
    def __init__(self, arms):
        self.means = torch.linspace(-1, 1, arms)

    def pull(self, a):
        return self.means[a] + 0.1 * torch.randn(a.shape)


bandit = Bandit(4)
policy = nn.Sequential(nn.Linear(3, 16), nn.Tanh(), nn.Linear(16, 4))
baseline = nn.Linear(3, 1)
pi_opt = torch.optim.SGD(policy.parameters(), lr=0.05)
vf_opt = torch.optim.SGD(baseline.parameters(), lr=0.05)


def reinforce(context):
    dist = Categorical(logits=policy(context))
    arm = dist.sample()
    reward = bandit.pull(arm)
    value = baseline(context).squeeze(-1)

    vf_loss = (value - reward).pow(2).mean()
    vf_opt.zero_grad()
    vf_loss.backward()
    vf_opt.step()

    pi_loss = -(dist.log_prob(arm) * (reward - value.detach())).mean()
    pi_opt.zero_grad()
    pi_loss.backward()
    pi_opt.step()
    return reward.mean().item()


for episode in range(7):
    print(f"episode {episode} reward {reinforce(torch.randn(20, 3)):+.3f}")
