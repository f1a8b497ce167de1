import torch
from torch import nn


class Agent(nn.Module):
    def __init__(self, hidden=12, delay_bias=0.0):
        super().__init__()
        self.hidden = hidden
        self.cue_net = nn.Sequential(nn.Linear(2, 10), nn.Tanh(), nn.Linear(10, hidden))
        self.memory = nn.LSTMCell(2, hidden)
        self.choice = nn.Linear(hidden, 2)
        with torch.no_grad():
            self.memory.bias_ih[hidden:2 * hidden] = delay_bias
            self.memory.weight_hh.mul_(0.3)

    def forward(self, cue, noise):
        c = self.cue_net(cue)
        h = torch.zeros_like(c)
        for t in range(noise.size(1)):
            h, c = self.memory(noise[:, t], (h, c))
        return self.choice(h)
