import torch
from torch import nn
from fsq import FSQ

torch.manual_seed(0)


class Tokenizer(nn.Module):
    def __init__(self, patch=6, dim=24, levels=(5, 5, 5)):
        super().__init__()
        self.mask_token = nn.Parameter(torch.zeros(patch))
        self.encoder = nn.GRU(patch, dim, batch_first=True, bidirectional=True)
        self.to_code = nn.Linear(2 * dim, len(levels))
        self.fsq = FSQ(levels)
        self.decoder = nn.Sequential(nn.Linear(len(levels), dim), nn.GELU(), nn.Linear(dim, patch))

    def forward(self, patches, hidden):
        x = torch.where(hidden[..., None], self.mask_token, patches)
        h, _ = self.encoder(x)
        code = self.fsq(self.to_code(h))
        return self.decoder(code), code


tok = Tokenizer()
opt = torch.optim.Adam(tok.parameters(), lr=3e-3)
for step in range(9):
    t = torch.linspace(0, 6.28, 60)
    wave = torch.sin(t * torch.rand(16, 1) * 3 + torch.rand(16, 1)).view(16, 10, 6)
    hidden = torch.rand(16, 10) < 0.4
    recon, code = tok(wave, hidden)
    err = (recon - wave).square().mean(-1)
    loss = (err * hidden).sum() / hidden.sum()
    opt.zero_grad()
    loss.backward()
    opt.step()
    with torch.no_grad():
        used = len(torch.unique(code.flatten(0, 1), dim=0))
    print(step, loss.item(), "codes", used)
