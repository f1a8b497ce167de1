import math
from dataclasses import dataclass
import torch
from torch import nn, Tensor


@dataclass
class Hyper:
    phonemes: int = 20
    mels: int = 16
    dim: int = 32
    style: int = 8
    lr: float = 2e-3
    steps: int = 8


class StyleTTS(nn.Module):
    def __init__(self, hp: Hyper):
        super().__init__()
        self.text_encoder = nn.Sequential(nn.Embedding(hp.phonemes, hp.dim), nn.Linear(hp.dim, hp.dim), nn.SiLU())
        self.style_encoder = nn.GRU(hp.mels, hp.style, batch_first=True)
        self.decoder = nn.Sequential(nn.Linear(hp.dim + hp.style, 64), nn.SiLU(), nn.Linear(64, hp.mels))

    def get_style(self, reference: Tensor) -> Tensor:
        _, last = self.style_encoder(reference)
        return last[-1]

    def forward(self, phonemes: Tensor, reference: Tensor) -> Tensor:
        text = self.text_encoder(phonemes)
        style = self.get_style(reference)
        style = style[:, None].expand(-1, text.shape[1], -1)
        return self.decoder(torch.cat([text, style], dim=-1))


class Utterances(torch.utils.data.IterableDataset):
    def __init__(self, hp):
        self.hp = hp

    def __iter__(self):
        g = torch.Generator().manual_seed(4)
        table = torch.randn(self.hp.phonemes, self.hp.mels, generator=g)
        while True:
            ph = torch.randint(self.hp.phonemes, (12,), generator=g)
            pitch = torch.randn(1, generator=g)
            mel = table[ph] + pitch * torch.linspace(0, math.pi, self.hp.mels).sin()
            yield ph, mel + 0.05 * torch.randn(mel.shape, generator=g)


def fit(tts, hp):
    loader = torch.utils.data.DataLoader(Utterances(hp), batch_size=16)
    opt = torch.optim.Adam(tts.parameters(), lr=hp.lr)
    for step, (ph, mel) in zip(range(hp.steps), loader):
        opt.zero_grad(set_to_none=True)
        loss = (tts(ph, mel) - mel).abs().mean()
        loss.backward()
        opt.step()
        print(f"{step:03d} l1={loss.item():.4f}")


torch.manual_seed(4)
hp = Hyper()
tts = StyleTTS(hp)
fit(tts, hp)
