import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(17)


class TextCNN(nn.Module):
    def __init__(self, vocab, dim, widths=(3, 4, 5), channels=12, n_classes=2):
        super().__init__()
        self.embedding = nn.Embedding(vocab, dim)
        self.branches = []
        for w in widths:
            self.branches.append(nn.Conv1d(dim, channels, w))
        self.dropout = nn.Dropout(0.1)
        self.head = nn.Linear(channels * len(widths), n_classes)

    def forward(self, tokens):
        x = self.embedding(tokens).transpose(1, 2)
        pooled = [F.relu(conv(x)).amax(dim=-1) for conv in self.branches]
        return self.head(self.dropout(torch.cat(pooled, dim=-1)))


def reviews(n, length=16):
    tokens = torch.randint(4, 50, (n, length))
    label = torch.randint(2, (n,))
    at = torch.randint(0, length - 2, (n,))
    rows = torch.arange(n)
    tokens[rows, at] = 2 + label
    tokens[rows, at + 1] = 3 - label
    return torch.utils.data.TensorDataset(tokens, label)


net = TextCNN(vocab=50, dim=16)
optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
loader = torch.utils.data.DataLoader(reviews(256), batch_size=32, shuffle=True)
for epoch in range(2):
    hits = 0
    for tokens, label in loader:
        logits = net(tokens)
        loss = F.cross_entropy(logits, label)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        hits += (logits.argmax(-1) == label).sum().item()
    print("epoch", epoch, "accuracy", hits / 256)
