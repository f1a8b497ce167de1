import torch
from modeling import NgramRegularizedLM


class Trainer:
    def __init__(self, model, lr=0.1, max_steps=6):
        self.model, self.max_steps = model, max_steps
        self.optimizer = torch.optim.SGD(model.parameters(), lr=lr)

    def _training_step(self, inputs):
        self.model.train()
        loss = self.model(**inputs)[0]
        loss.backward()
        return loss.detach()

    def train(self):
        for step in range(self.max_steps):
            ids = (torch.randint(0, 25, (8, 1)) + torch.arange(10)) % 25
            tr_loss = self._training_step({"input_ids": ids, "labels": ids})
            self.optimizer.step()
            self.model.zero_grad()
            print({"step": step, "loss": round(tr_loss.item(), 4)})


torch.manual_seed(40)
model = NgramRegularizedLM()
Trainer(model).train()
