import argparse
import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=20)
parser.add_argument("--nhid", type=int, default=48)
parser.add_argument("--steps", type=int, default=12)
args = parser.parse_args([])

torch.manual_seed(0)


class RNNModel(nn.Module):
    def __init__(self, ntoken, nhid):
        super().__init__()
        self.encoder = nn.Embedding(ntoken, nhid)
        self.rnn = nn.RNN(nhid, nhid, nonlinearity="relu", batch_first=True)
        self.decoder = nn.Linear(nhid, ntoken)

    def forward(self, ids):
        out, _ = self.rnn(self.encoder(ids))
        return self.decoder(out)


model = RNNModel(30, args.nhid)
unigram = nn.Linear(1, 30)
slow = torch.optim.SGD(unigram.parameters(), lr=0.1)
criterion = nn.CrossEntropyLoss()
for step in range(args.steps):
    ids = (torch.randint(0, 30, (16, 1)) + torch.arange(13) * torch.randint(1, 3, (16, 1))) % 30
    model.zero_grad()
    loss = criterion(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())
    loss.backward()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(p.grad, alpha=-args.lr)
    slow.zero_grad()
    uni = criterion(unigram(torch.ones(16, 1)), ids[:, 1])
    uni.backward()
    slow.step()
    print(step, f"{loss.item():.3e}", f"{uni.item():.3f}")
