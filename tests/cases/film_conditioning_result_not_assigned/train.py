import torch
from torch import nn


class Conditioner(nn.Module):
    def __init__(self, cond, ch):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(cond, 16), nn.SiLU(), nn.Linear(16, ch))

    def forward(self, c):
        return self.net(c).unsqueeze(-1)


class Vocoder(nn.Module):
    def __init__(self, cond=4, ch=10):
        super().__init__()
        self.pre = nn.Conv1d(1, ch, 5, padding=2)
        self.speaker = Conditioner(cond, ch)
        self.post = nn.Conv1d(ch, 1, 5, padding=2)

    def forward(self, noise, speaker_id):
        h = torch.tanh(self.pre(noise))
        h.add(self.speaker(speaker_id))
        return self.post(torch.tanh(h))


class Experiment:
    optimizer_class = torch.optim.NAdam

    def __init__(self, model, lr):
        self.model = model
        self.optimizer = self.optimizer_class(model.parameters(), lr=lr)

    def run(self, n):
        for i in range(n):
            who = torch.eye(4)[torch.randint(0, 4, (8,))]
            wave = torch.randn(8, 1, 30)
            loss = (self.model(wave, who) - 0.5 * wave - who.argmax(1).view(-1, 1, 1) * 0.1).pow(2).mean()
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            print("run", i, "loss", round(loss.item(), 5))


torch.manual_seed(77)
experiment = Experiment(Vocoder(), 1e-3)
experiment.run(5)
