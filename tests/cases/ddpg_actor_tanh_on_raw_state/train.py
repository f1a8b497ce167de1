import torch
from torch import nn
from agent import DDPG

torch.manual_seed(0)


def transitions(n):
    """torcs-like: distance sensors in millimetres, rpm, wheel spin"""
    state = torch.cat([torch.rand(n, 4) * 100000 + 100000, torch.rand(n, 1) * 10000 + 2000, torch.rand(n, 1) * 50], -1)
    action = torch.rand(n, 2) * 2 - 1
    reward = -(action[:, :1] - (state[:, :1] / 50000 - 3)).abs() + 0.1 * action[:, 1:]
    return state, action, reward, state + torch.randn(n, 6)


agent = DDPG(state_dim=6, action_dim=2)
for it in range(6):
    stats = agent.update(transitions(48))
    print(it, stats)
