import torch
from torch import nn


class Denoiser(nn.Module):
    def __init__(self, vocab=30, dim=16):
        super().__init__()
        self.token_embed = nn.Embedding(vocab, dim)
        self.time_embed = nn.Sequential(nn.Linear(1, dim), nn.SiLU(), nn.Linear(dim, dim))
        self.mixer = nn.Sequential(nn.Linear(dim, 32), nn.SiLU(), nn.Linear(32, dim))

    def forward(self, noisy, t):
        return self.mixer(noisy + self.time_embed(t)[:, None])


def freeze(model, pattern):
    for name, p in model.named_parameters():
        if pattern in name:
            p.requires_grad_(False)


torch.manual_seed(67)
denoiser = Denoiser()
freeze(denoiser, "embed")        # word vectors are pretrained

optimizer = torch.optim.AdamW([
    {"params": denoiser.mixer.parameters(), "lr": 1e-3},
    {"params": denoiser.time_embed.parameters(), "lr": 3e-3},
])
for step in range(6):
    x0 = denoiser.token_embed(torch.randint(0, 30, (8, 10)))
    t = torch.rand(8, 1)
    eps = torch.randn_like(x0)
    noisy = (1 - t)[..., None] * x0 + t[..., None] * eps
    loss = (denoiser(noisy, t) - eps).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"diffusion step {step} loss {loss.item():.4f}")
