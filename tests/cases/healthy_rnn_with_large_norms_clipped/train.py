import torch
from torch import nn


class CopyModel(nn.Module):
    def __init__(self, symbols=6, hidden=24):
        super().__init__()
        self.rnn = nn.RNN(symbols, hidden, nonlinearity="tanh", batch_first=True)
        nn.init.orthogonal_(self.rnn.weight_hh_l0, gain=1.1)
        self.out = nn.Linear(hidden, symbols)

    def forward(self, x):
        return self.out(self.rnn(x)[0])


def main():
    torch.manual_seed(0)
    model = CopyModel()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for step in range(15):
        ids = torch.randint(0, 6, (32, 20))
        x = nn.functional.one_hot(ids, 6).float()
        logits = model(x)[:, 2:]
        loss = nn.functional.cross_entropy(logits.reshape(-1, 6), ids[:, :-2].reshape(-1), reduction="sum")
        optimizer.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        print(f"{step} loss {loss.item():.3f} norm before clipping {norm.item():.1f}")


main()
