import torch
from torch import nn
import torch.nn.functional as F


class VAE(nn.Module):
    def __init__(self, n_in=36, hidden=48, latent=4):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(n_in, hidden), nn.SiLU(), nn.Linear(hidden, 2 * latent))
        self.decoder = nn.Sequential(nn.Linear(latent, hidden), nn.SiLU(), nn.Linear(hidden, n_in))

    def forward(self, x):
        mu, logvar = self.encoder(x).chunk(2, dim=-1)
        z = mu + torch.randn_like(mu) * (0.5 * logvar).exp()
        return self.decoder(z), mu, logvar


def elbo(x, logits, mu, logvar, beta):
    rec = F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(-1)
    kl = 0.5 * (mu.square() + logvar.exp() - 1 - logvar).sum(-1)
    return (rec + beta * kl).mean()


def bars(n, side=6):
    """the 'bars' data set: each row and column is on with probability 1/6"""
    rows = (torch.rand(n, side, 1) < 1 / 6).expand(n, side, side)
    cols = (torch.rand(n, 1, side) < 1 / 6).expand(n, side, side)
    return (rows | cols).float().flatten(1)


class AmpTrainer:
    def __init__(self, model, lr, max_norm):
        self.model, self.max_norm = model, max_norm
        self.optimizer = torch.optim.SGD(model.parameters(), lr=lr)
        self.scaler = torch.amp.GradScaler("cpu", init_scale=2.0 ** 16)

    def step(self, x, beta):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits, mu, logvar = self.model(x)
        loss = elbo(x, logits.float(), mu.float(), logvar.float(), beta)
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), self.max_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return loss.item()


torch.manual_seed(36)
vae = VAE()
trainer = AmpTrainer(vae, lr=0.1, max_norm=1.0)
for it in range(20):
    loss = trainer.step(bars(64), beta=min(1.0, it / 10))
    print(f"iter {it:2d} -elbo {loss:.4f}")
