import torch
from torch import nn


class SAE(nn.Module):
    def __init__(self, dim=24, latents=64):
        super().__init__()
        self.encoder = nn.Linear(dim, latents)
        self.decoder = nn.Linear(latents, dim, bias=False)

    def forward(self, acts):
        code = torch.relu(self.encoder(acts))
        return self.decoder(code), code


class AccumulatingTrainer:
    def __init__(self, sae, probe, accumulate, lr):
        self.sae, self.probe, self.accumulate = sae, probe, accumulate
        self.opt = torch.optim.SGD(sae.parameters(), lr=lr)
        self.probe_opt = torch.optim.SGD(probe.parameters(), lr=lr)

    def loss(self, acts):
        recon, code = self.sae(acts)
        return (recon - acts).square().sum(-1).mean() + 1e-2 * code.sum(-1).mean()

    def update(self, stream):
        self.opt.zero_grad()
        total = 0.0
        for _ in range(self.accumulate):
            loss = self.loss(next(stream))
            loss.backward()
            total += loss.item() / self.accumulate
        self.opt.step()
        acts = next(stream)
        p = (self.probe(acts) - acts[:, :1].abs()).square().mean()
        self.probe_opt.zero_grad()
        p.backward()
        self.probe_opt.step()
        return total, p.item()


def activations(basis):
    while True:
        yield torch.relu(torch.randn(32, 6)) @ basis


torch.manual_seed(0)
stream = activations(torch.randn(6, 24))
trainer = AccumulatingTrainer(SAE(), nn.Linear(24, 1), accumulate=64, lr=2e-3)
for update in range(4):
    print(update, "loss %.3e probe %.3f" % trainer.update(stream))
