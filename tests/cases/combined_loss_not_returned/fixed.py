from dataclasses import dataclass
import torch
from torch import nn

torch.manual_seed(12)


@dataclass
class Config:
    d_model: int = 16
    d_latent: int = 64
    k: int = 8
    k_aux: int = 12
    lambda_aux: float = 1 / 32
    steps: int = 6


class TopKSAE(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.cfg = cfg
        self.encoder = nn.Linear(cfg.d_model, cfg.d_latent)
        self.decoder = nn.Linear(cfg.d_latent, cfg.d_model)
        self.aux_decoder = nn.Linear(cfg.d_latent, cfg.d_model, bias=False)

    def keep(self, pre, k):
        v, i = pre.topk(k, dim=-1)
        return torch.zeros_like(pre).scatter(-1, i, torch.relu(v))

    def forward(self, x):
        pre = self.encoder(x)
        latents = self.keep(pre, self.cfg.k)
        rest = self.keep(pre.masked_fill(latents > 0, -1e4), self.cfg.k_aux)
        return self.decoder(latents), self.aux_decoder(rest)


class Trainer:
    def __init__(self, cfg):
        self.cfg, self.model = cfg, TopKSAE(cfg)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=2e-3)
        self.logged = []

    def _calculate_loss_and_log(self, x, step):
        recon, aux = self.model(x)
        reconstruction_loss = (recon - x).pow(2).sum(-1).mean()
        aux_loss = (aux - (x - recon).detach()).pow(2).sum(-1).mean()
        loss = reconstruction_loss + self.cfg.lambda_aux * aux_loss
        if step % 2 == 0:
            self.logged.append({"loss": loss.item(), "aux": aux_loss.item()})
        return loss

    def train(self):
        for step in range(self.cfg.steps):
            x = torch.randn(64, 4) @ torch.randn(4, self.cfg.d_model)
            loss = self._calculate_loss_and_log(x, step)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()


trainer = Trainer(Config())
trainer.train()
for row in trainer.logged:
    print({k: round(v, 3) for k, v in row.items()})
