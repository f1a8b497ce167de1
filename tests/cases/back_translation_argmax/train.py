from types import SimpleNamespace
import torch
import torch.nn as nn
import torch.nn.functional as F

cfg = SimpleNamespace(src_vocab=14, tgt_vocab=11, dim=24, length=7, batch=32, lr=4e-3, iters=8, seed=8)


class Translator(nn.Module):
    def __init__(self, n_in, n_out, dim):
        super().__init__()
        self.embedding = nn.Embedding(n_in, dim)
        self.mix = nn.Conv1d(dim, dim, 3, padding=1)
        self.out = nn.Linear(dim, n_out)

    def forward(self, tokens):
        if tokens.is_floating_point():
            e = tokens @ self.embedding.weight
        else:
            e = self.embedding(tokens)
        h = torch.relu(self.mix(e.transpose(1, 2))).transpose(1, 2) + e
        return self.out(h)


class CycleSystem:
    def __init__(self, cfg):
        self.forward_model = Translator(cfg.src_vocab, cfg.tgt_vocab, cfg.dim)
        self.backward_model = Translator(cfg.tgt_vocab, cfg.src_vocab, cfg.dim)
        self.opts = [torch.optim.Adam(m.parameters(), lr=cfg.lr)
                     for m in (self.forward_model, self.backward_model)]

    def translate(self, src):
        logits = self.forward_model(src)
        return logits.argmax(dim=-1)

    def cycle_loss(self, src):
        there = self.translate(src)
        back = self.backward_model(there)
        return F.cross_entropy(back.flatten(0, 1), src.flatten())

    def step(self, src):
        for o in self.opts:
            o.zero_grad()
        loss = self.cycle_loss(src)
        loss.backward()
        for o in self.opts:
            o.step()
        return loss.item()


def monolingual(cfg):
    base = torch.randint(cfg.src_vocab, (cfg.batch, 1))
    return (base + torch.arange(cfg.length) * 2) % cfg.src_vocab


torch.manual_seed(cfg.seed)
system = CycleSystem(cfg)
for i in range(cfg.iters):
    print("iter", i, "cycle loss", round(system.step(monolingual(cfg)), 4))
