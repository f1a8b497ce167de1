import torch
from torch import nn

torch.manual_seed(0)
PAD = 0


def embedding(num, dim):
    """all tables of the project use the same padding id"""
    return nn.Embedding(num, dim, padding_idx=PAD)


class Synth(nn.Module):
    def __init__(self, n_phones=30, n_speakers=1, dim=16):
        super().__init__()
        self.phones = embedding(n_phones, dim)
        self.speakers = nn.Embedding(n_speakers, dim)
        self.decoder = nn.GRU(2 * dim, 24, batch_first=True)
        self.mel = nn.Linear(24, 10)

    def forward(self, phones, speaker):
        p = self.phones(phones)
        s = self.speakers(speaker).unsqueeze(1).expand_as(p)
        h, _ = self.decoder(torch.cat([p, s], -1))
        return self.mel(h)


def batch(n=8, t=12):
    phones = torch.randint(1, 30, (n, t))
    for i in range(n):
        phones[i, t - int(torch.randint(0, 4, ())):] = PAD
    mel = torch.sin(phones[..., None] * torch.arange(1, 11) * 0.3) + 0.5
    return phones, torch.zeros(n, dtype=torch.long), mel, phones != PAD


synth = Synth()
opt = torch.optim.Adam(synth.parameters(), lr=2e-3, betas=(0.9, 0.98))
for step in range(8):
    phones, speaker, mel, valid = batch()
    out = synth(phones, speaker)
    loss = (out - mel).abs()[valid].mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(step, loss.item(), "speaker norm", synth.speakers.weight.norm().item())
