import torch
from torch import nn
from fixed_layers import ReZeroLayer


class CharModel(nn.Module):
    def __init__(self, vocab=28, dim=24, depth=2):
        super().__init__()
        self.embed = nn.Embedding(vocab, dim)
        self.layers = nn.ModuleList([ReZeroLayer(dim) for _ in range(depth)])
        self.head = nn.Linear(dim, vocab)

    def forward(self, ids):
        h = self.embed(ids)
        for layer in self.layers:
            h = layer(h)
        return self.head(h)


torch.manual_seed(0)
model = CharModel()
optimizer = torch.optim.Adagrad(model.parameters(), lr=0.05)
text = torch.randint(0, 28, (2000,))
text[1::2] = (text[::2] + 3) % 28

for it in range(9):
    start = torch.randint(0, 1900, (16, 1))
    chunk = text[start + torch.arange(33)]
    logits = model(chunk[:, :-1])
    loss = nn.functional.cross_entropy(logits.transpose(1, 2), chunk[:, 1:])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print("it", it, "bits/char", round(loss.item() / 0.6931, 4))
