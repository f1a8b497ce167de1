import torch
from torch import nn


class AmpTrainer:
    def __init__(self, model, lr, clip_value, accumulate):
        self.model, self.clip_value, self.accumulate = model, clip_value, accumulate
        self.optimizer = torch.optim.SGD(model.parameters(), lr=lr)
        self.scaler = torch.amp.GradScaler("cpu", init_scale=2.0 ** 16)

    def backward(self, x, y):
        with torch.autocast("cpu", dtype=torch.float16):
            logits = self.model(x)
        loss = nn.functional.cross_entropy(logits.float(), y) / self.accumulate
        self.scaler.scale(loss).backward()
        return loss.item()

    def update(self):
        nn.utils.clip_grad_value_(self.model.parameters(), self.clip_value)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)

    def fit(self, batches):
        total = 0.0
        for i, (x, y) in enumerate(batches, start=1):
            total += self.backward(x, y)
            if i % self.accumulate == 0:
                self.update()
                yield total
                total = 0.0
