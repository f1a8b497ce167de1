import torch
from torch import nn


class Trainer:
    def __init__(self, encoder, scorer):
        self.encoder, self.scorer = encoder, scorer
        self.opt = torch.optim.NAdam([*encoder.parameters(), *scorer.parameters()], lr=2e-3)
        self.best, self.best_state = float("inf"), None

    def modules(self):
        return self.encoder, self.scorer

    @torch.inference_mode()
    def validate(self, x, y):
        for m in self.modules():
            m.eval()
        loss = nn.functional.mse_loss(self.scorer(self.encoder(x)).squeeze(-1), y)
        for m in self.modules():
            m.train()
        return loss.item()

    def epoch(self, x, y):
        for bx, by in zip(x.split(16), y.split(16)):
            loss = nn.functional.mse_loss(self.scorer(self.encoder(bx)).squeeze(-1), by)
            self.opt.zero_grad()
            loss.backward()
            self.opt.step()
        return loss.item()

    def fit(self, train, val, epochs):
        for e in range(epochs):
            t, v = self.epoch(*train), self.validate(*val)
            if v < self.best:
                self.best = v
                self.best_state = [{k: w.clone() for k, w in m.state_dict().items()} for m in self.modules()]
            print(f"epoch {e} train {t:.4f} val {v:.4f}")
        for m, state in zip(self.modules(), self.best_state):
            m.load_state_dict(state)
        print("restored the best, val", round(self.best, 4))


torch.manual_seed(243)
x = torch.randn(64, 7)
y = x[:, 0] * x[:, 1]
trainer = Trainer(nn.Sequential(nn.Linear(7, 24), nn.GELU(), nn.Dropout(0.1)), nn.Linear(24, 1))
trainer.fit((x[:48], y[:48]), (x[48:], y[48:]), 3)
