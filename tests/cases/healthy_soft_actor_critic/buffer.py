import torch


class ReplayBuffer:
    def __init__(self, obs, act, size=200):
        self.o, self.a = torch.randn(size, obs), torch.rand(size, act) * 2 - 1
        self.r = -(self.o[:, :act] - self.a).pow(2).sum(-1)
        self.o2 = self.o * 0.9 + 0.1 * torch.randn(size, obs)

    def sample(self, n):
        i = torch.randint(0, len(self.r), (n,))
        return self.o[i], self.a[i], self.r[i], self.o2[i]
