import torch
from torch import nn
from fixed_trainer import AmpTrainer


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU())
        self.head = nn.Linear(32, 4)

    def forward(self, x):
        return self.head(self.encoder(x))


def stream(n):
    for _ in range(n):
        x = torch.randn(32, 20)
        yield x, x[:, :4].argmax(1)


torch.manual_seed(0)
model = Model()
trainer = AmpTrainer(model, lr=0.2, clip_value=0.1, accumulate=2)
for i, loss in enumerate(trainer.fit(stream(12))):
    print("update", i, "loss", round(loss, 4))
