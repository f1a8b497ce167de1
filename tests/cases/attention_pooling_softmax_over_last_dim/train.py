import torch
from torch import nn
from pooling import AttentionPooling

torch.manual_seed(0)
encoder = nn.LSTM(6, 20, batch_first=True, bidirectional=True)
pooling = AttentionPooling(40)
classifier = nn.Linear(40, 3)
modules = nn.ModuleList([encoder, pooling, classifier])
optimizer = torch.optim.Adam(modules.parameters(), lr=2e-3)
criterion = nn.CrossEntropyLoss()


def run_epoch(batches):
    total = 0.0
    for _ in range(batches):
        label = torch.randint(0, 3, (24,))
        signal = torch.randn(24, 15, 6)
        signal[:, 5, 0] += 3 * label
        hidden, _ = encoder(signal)
        logits = classifier(pooling(hidden))
        loss = criterion(logits, label)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()
    return total / batches


for epoch in range(4):
    print("epoch", epoch, "train loss", run_epoch(2))
