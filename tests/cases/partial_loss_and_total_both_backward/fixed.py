import torch
from torch import nn

torch.manual_seed(169)


class Separator(nn.Module):
    def __init__(self):
        super().__init__()
        self.mask = nn.Sequential(nn.Linear(30, 32), nn.ReLU(), nn.Linear(32, 30), nn.Sigmoid())

    def forward(self, mix):
        return mix * self.mask(mix)


class LoudnessNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(30, 1)

    def forward(self, x):
        return self.fc(x).squeeze(-1)


class Job:
    def __init__(self):
        self.separator, self.loudness = Separator(), LoudnessNet()
        self.sep_optim = torch.optim.SGD(self.separator.parameters(), lr=0.1)
        self.loud_optim = torch.optim.SGD(self.loudness.parameters(), lr=0.01)

    def __call__(self, voice, noise):
        self.sep_optim.zero_grad()
        self.loud_optim.zero_grad()
        estimate = self.separator(voice + noise)
        rec_loss = (estimate - voice).abs().mean()
        loud_loss = (self.loudness(estimate) - voice.pow(2).mean(-1)).pow(2).mean()
        total = rec_loss + 0.3 * loud_loss
        total.backward()
        self.sep_optim.step()
        self.loud_optim.step()
        return rec_loss.item(), loud_loss.item()


job = Job()
for i in range(5):
    print("step %d rec %.4f loud %.4f" % (i, *job(torch.rand(12, 30), 0.3 * torch.rand(12, 30))))
