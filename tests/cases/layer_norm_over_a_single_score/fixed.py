import torch
from torch import nn

torch.manual_seed(3)


class SpeakerEncoder(nn.Module):
    def __init__(self, mels=20, dim=24):
        super().__init__()
        self.frames = nn.GRU(mels, dim, batch_first=True)
        self.score = nn.Linear(dim, dim)
        self.norm = nn.LayerNorm(dim)
        self.project = nn.Linear(dim, 8)

    def forward(self, audio):
        states, _ = self.frames(audio)
        level = self.norm(self.score(states).mean(dim=1))
        return self.project(level)


class Synthesiser(nn.Module):
    def __init__(self, text=10, mels=20):
        super().__init__()
        self.mix = nn.Sequential(nn.Linear(text + 8, 48), nn.GELU(), nn.Linear(48, mels))

    def forward(self, text, speaker):
        return self.mix(torch.cat([text, speaker], dim=1))


speaker, synthesiser = SpeakerEncoder(), Synthesiser()
optimizer = torch.optim.Adam([*speaker.parameters(), *synthesiser.parameters()], lr=2e-3)
for step in range(8):
    text, audio = torch.randn(16, 10), torch.randn(16, 30, 20) + torch.randn(16, 1, 20)
    loss = (synthesiser(text, speaker(audio)) - audio.mean(dim=1)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, round(loss.item(), 4))
