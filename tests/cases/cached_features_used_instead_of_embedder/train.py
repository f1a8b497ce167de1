import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(81)


class Embedder(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(1, 6, 5, stride=2)
        self.fc = nn.Linear(6, 10)

    def forward(self, signal):
        return self.fc(torch.relu(self.conv(signal.unsqueeze(1))).mean(-1))


def load(n=48):
    signals = torch.randn(n, 40)
    cached = torch.randn(n, 10)           # embeddings of an earlier run, read from disk
    return TensorDataset(signals, cached, (signals.std(1) > 1.0).long())


embedder, classifier = Embedder(), nn.Sequential(nn.Linear(10, 16), nn.ReLU(), nn.Linear(16, 2))
loader = DataLoader(load(), batch_size=16)
optimizer = torch.optim.Adam([*embedder.parameters(), *classifier.parameters()], lr=2e-3)

for epoch in range(3):
    embedder.train()
    classifier.train()
    for signals, features, labels in loader:
        logits = classifier(features)
        loss = nn.functional.cross_entropy(logits, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print("epoch", epoch, "loss", round(loss.item(), 4))
