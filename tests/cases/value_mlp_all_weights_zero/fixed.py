import copy
import torch
from torch import nn


def mlp(sizes):
    layers = []
    for a, b in zip(sizes, sizes[1:]):
        layers += [nn.Linear(a, b), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def neutral_init(module):
    for m in list(module.modules())[-1:]:
        if isinstance(m, nn.Linear):
            nn.init.zeros_(m.weight)
            nn.init.zeros_(m.bias)


class Learner:
    def __init__(self, obs_dim, n_actions):
        self.q_net = mlp([obs_dim, 32, 32, n_actions])
        neutral_init(self.q_net)
        self.target = copy.deepcopy(self.q_net).requires_grad_(False)
        self.dynamics = mlp([obs_dim + n_actions, 32, obs_dim])
        self.opt = torch.optim.Adam([*self.q_net.parameters(), *self.dynamics.parameters()], lr=1e-3)

    def learn(self, obs, action, reward, next_obs):
        q = self.q_net(obs).gather(1, action[:, None]).squeeze(1)
        with torch.no_grad():
            goal = reward + 0.9 * self.target(next_obs).amax(1)
        one_hot = nn.functional.one_hot(action, 3).float()
        model_error = (self.dynamics(torch.cat([obs, one_hot], 1)) - next_obs).pow(2).mean()
        td_error = nn.functional.smooth_l1_loss(q, goal)
        self.opt.zero_grad()
        (td_error + model_error).backward()
        self.opt.step()
        return td_error.item(), model_error.item()


torch.manual_seed(0)
learner = Learner(obs_dim=5, n_actions=3)
for t in range(8):
    obs = torch.randn(40, 5)
    action = torch.randint(0, 3, (40,))
    next_obs = 0.9 * obs + 0.1 * (action[:, None] - 1)
    td, model = learner.learn(obs, action, obs[:, 0] + 1.0 * (action == 2), next_obs)
    print(f"t={t} td={td:.4f} model={model:.4f}")
