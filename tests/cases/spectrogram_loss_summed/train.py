import torch
from torch import nn


class SpectrogramLoss(nn.Module):
    floor_db = -80.0

    def __init__(self):
        super().__init__()
        self.distance = nn.MSELoss(reduction="sum")

    def forward(self, predicted, target):
        target = target.clamp(min=self.floor_db)
        return self.distance(predicted, target)


class TTS(nn.Module):
    def __init__(self, n_phones=20, width=32, bands=40):
        super().__init__()
        self.vocoder = nn.Sequential(nn.Embedding(n_phones, width), nn.Linear(width, width), nn.SiLU(),
                                     nn.Linear(width, bands))
        self.duration = nn.Sequential(nn.Embedding(n_phones, width), nn.Linear(width, 1))

    def forward(self, phones):
        return self.vocoder(phones), self.duration(phones).squeeze(-1)


def utterances(n, frames, bands):
    g = torch.Generator().manual_seed(13)
    voice = -40 + 20 * torch.randn(20, bands, generator=g)
    length = torch.rand(20, generator=g)
    while True:
        phones = torch.randint(0, 20, (n, frames), generator=g)
        yield phones, voice[phones] + 3 * torch.randn(n, frames, bands, generator=g), length[phones]


torch.manual_seed(13)
system = TTS()
criterion = SpectrogramLoss()
opt = torch.optim.Adam(system.parameters(), lr=1e-3, betas=(0.8, 0.99))
stream = utterances(16, 125, 40)
for step in range(8):
    phones, spectrogram, duration = next(stream)
    predicted, log_duration = system(phones)
    spec_loss = criterion(predicted, spectrogram)
    dur_loss = nn.functional.mse_loss(log_duration, duration)
    loss = spec_loss + dur_loss
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(f"{step} spectrogram {spec_loss.item():.1f} duration {dur_loss.item():.4f}")
