import torch
from torch import nn
import torch.nn.functional as F


def mlp(*sizes):
    layers = []
    for i, o in zip(sizes, sizes[1:]):
        layers += [nn.Linear(i, o), nn.Tanh()]
    return nn.Sequential(*layers[:-1])


torch.manual_seed(145)
policy, critic = mlp(4, 24, 3), mlp(4, 24, 1)
policy_opt = torch.optim.Adam(policy.parameters(), lr=1e-3)
critic_opt = torch.optim.Adam(critic.parameters(), lr=1e-3)


def a2c_update(obs, actions, returns):
    values = critic(obs).squeeze(-1)
    advantage = (returns - values).detach()
    logp = policy(obs).log_softmax(-1).gather(1, actions[:, None]).squeeze(1)
    policy_loss = -(logp * advantage).mean()
    policy_opt.zero_grad()
    policy_loss.backward()
    policy_opt.step()

    value_loss = F.mse_loss(values, returns)
    critic_opt.zero_grad()
    critic_opt.step()
    value_loss.backward()
    return policy_loss.item(), value_loss.item()


for update in range(6):
    obs = torch.randn(24, 4)
    actions = torch.randint(0, 3, (24,))
    returns = obs[:, 0] + actions
    print(update, "policy %.4f value %.4f" % a2c_update(obs, actions, returns))
