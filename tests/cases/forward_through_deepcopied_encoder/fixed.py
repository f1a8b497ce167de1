import torch
from torch import nn

torch.manual_seed(29)


class Encoder(nn.Module):
    def __init__(self, genes=30, dim=8):
        super().__init__()
        self.hidden = nn.Linear(genes, 24)
        self.mu = nn.Linear(24, dim)

    def forward(self, x):
        return self.mu(torch.relu(self.hidden(torch.log1p(x))))


class BatchCorrector(nn.Module):
    """One encoder for all sequencing batches, one decoder per batch."""

    def __init__(self, encoder, n_batches=2, genes=30):
        super().__init__()
        self.encoder = encoder
        self.decoders = nn.ModuleList([nn.Linear(8, genes) for _ in range(n_batches)])

    def forward(self, x, b):
        return self.decoders[b](self.encoder(x))


encoder = Encoder()
corrector = BatchCorrector(encoder)
opt_enc = torch.optim.Adam(encoder.parameters(), lr=1e-3)
opt_dec = torch.optim.Adam(corrector.decoders.parameters(), lr=1e-3)

for epoch in range(4):
    running = 0.0
    for b in range(2):
        counts = torch.poisson(torch.rand(16, 30) * 4)
        opt_enc.zero_grad()
        opt_dec.zero_grad()
        loss = nn.functional.mse_loss(corrector(counts, b), torch.log1p(counts))
        loss.backward()
        opt_enc.step()
        opt_dec.step()
        running += loss.item()
    print("epoch", epoch, "reconstruction", round(running / 2, 4))
