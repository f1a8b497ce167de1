import torch
from torch import nn

torch.manual_seed(0)


class Autoencoder(nn.Module):
    def __init__(self, d=96, k=12):
        super().__init__()
        self.enc = nn.Linear(d, k)
        self.dec = nn.Linear(k, d)

    def forward(self, x):
        return self.dec(torch.tanh(self.enc(x)))


autoencoder = Autoencoder()
probe = nn.Linear(12, 2)
opt = torch.optim.SGD(autoencoder.parameters(), lr=0.5)
probe_opt = torch.optim.SGD(probe.parameters(), lr=0.1)

for it in range(6):
    spectra = torch.rand(512, 96) * 2e-3                # absorbance, small numbers
    spectra = spectra / 2e-3
    x = spectra
    loss = nn.functional.mse_loss(autoencoder(x), x)
    opt.zero_grad()
    loss.backward()
    opt.step()

    with torch.no_grad():
        code = torch.tanh(autoencoder.enc(x)).float()
    label = (spectra[:, 0] > spectra[:, 1]).long()
    probe_loss = nn.functional.cross_entropy(probe(code), label)
    probe_opt.zero_grad()
    probe_loss.backward()
    probe_opt.step()
    print(it, loss.item(), probe_loss.item())
