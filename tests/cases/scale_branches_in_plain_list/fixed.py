import torch
import torch.nn as nn

torch.manual_seed(42)


class MuReNNDirect(nn.Module):
    """One small convolution per octave, mixed by a linear read-out."""

    def __init__(self, *, octaves, kernel, channels):
        super().__init__()
        self.octaves = octaves
        self.conv1d = nn.ModuleList()
        for j in range(octaves):
            self.conv1d.append(nn.Conv1d(1, channels, kernel, padding="same", bias=False))
        self.pool = nn.AvgPool1d(2)
        self.mix = nn.Linear(octaves * channels, 8)

    def forward(self, x):
        out = []
        for j in range(self.octaves):
            y = self.conv1d[j](x)
            out.append(y.pow(2).mean(-1).add(1e-3).log())
            x = self.pool(x)
        return torch.tanh(self.mix(torch.cat(out, 1)))


class Tagger(nn.Module):
    def __init__(self, tags=4):
        super().__init__()
        self.frontend = MuReNNDirect(octaves=3, kernel=9, channels=4)
        self.fc = nn.Linear(8, tags)

    def forward(self, wav):
        return self.fc(self.frontend(wav))


def tones(n, length=256):
    tag = torch.randint(0, 4, (n,))
    t = torch.arange(length).float()
    freq = 0.05 * 2 ** tag.float()
    return torch.sin(freq[:, None] * t)[:, None] + 0.2 * torch.randn(n, 1, length), tag


def run(model, steps):
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    history = []
    for _ in range(steps):
        wav, tag = tones(16)
        loss = nn.functional.cross_entropy(model(wav), tag)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append(loss.item())
    return history


model = Tagger()
print("trainable:", sum(p.numel() for p in model.parameters()))
print(" ".join(f"{v:.3f}" for v in run(model, 8)))
