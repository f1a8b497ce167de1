import torch
from torch import nn

torch.manual_seed(71)


def build_encoder(bands, latent):
    return nn.Sequential(nn.Linear(bands, 16), nn.ELU(), nn.Linear(16, latent))


def build_decoder(bands, latent):
    return nn.Sequential(nn.Linear(latent, 16), nn.ELU(), nn.Linear(16, bands))


class Codec(nn.Module):
    def __init__(self, encoder, decoder=None, bands=20, latent=6):
        super().__init__()
        self.encoder = encoder or build_encoder(bands, latent)
        self.decoder = build_decoder(bands, latent)

    def forward(self, x):
        return self.decoder(self.encoder(x))


encoder, decoder = build_encoder(20, 6), build_decoder(20, 6)
codec = Codec(encoder, decoder)
optimizers = {
    "encoder": torch.optim.Adam(encoder.parameters(), lr=1e-3),
    "decoder": torch.optim.Adam(decoder.parameters(), lr=1e-3),
}
for step in range(5):
    spectrum = torch.rand(32, 20)
    loss = nn.functional.mse_loss(codec(spectrum), spectrum)
    codec.zero_grad()
    loss.backward()
    for name in optimizers:
        optimizers[name].step()
    print("step", step, "loss", f"{loss.item():.4f}")
