import torch
from torch import nn
from executor import Executor

torch.manual_seed(20)


class KwsModel(nn.Module):
    def __init__(self, idim=20, hdim=24, vocab=3):
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv1d(idim, hdim, 5), nn.ReLU(), nn.Conv1d(hdim, hdim, 5), nn.ReLU())
        self.classifier = nn.Linear(hdim, vocab)

    def forward(self, x):
        return self.classifier(self.backbone(x.transpose(1, 2)).mean(dim=2))


def synth(n):
    feats = torch.randn(n, 30, 20)
    target = torch.randint(0, 3, (n,))
    feats[torch.arange(n), :, target] += 0.7
    return feats, target


model = KwsModel()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
executor = Executor()
for epoch in range(2):
    executor.train(model, optimizer, [synth(16) for _ in range(4)], {"grad_clip": 50.0})
