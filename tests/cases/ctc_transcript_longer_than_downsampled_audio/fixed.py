import torch
from torch import nn


class ASR(nn.Module):
    def __init__(self, chars=10):
        super().__init__()
        self.subsample = nn.Sequential(
            nn.Conv1d(8, 16, 3, stride=2, padding=1), nn.ReLU(), nn.Conv1d(16, 16, 3, stride=2, padding=1), nn.ReLU()
        )
        self.rnn = nn.GRU(16, 16, batch_first=True)
        self.out = nn.Linear(16, chars)

    def forward(self, feats):
        h = self.subsample(feats.transpose(1, 2)).transpose(1, 2)
        return self.out(self.rnn(h)[0]).log_softmax(-1)


def utterances(b, n=6):
    lengths = torch.randint(2, 4, (n,))
    if b == 3:
        lengths[1] = 9                            # spoken very fast
    text = torch.randint(1, 10, (n, int(lengths.max())))
    return torch.randn(n, 24, 8), text, lengths


def main():
    torch.manual_seed(0)
    asr = ASR()
    ctc = nn.CTCLoss(blank=0, zero_infinity=True)
    optimizer = torch.optim.Adam(asr.parameters(), lr=1e-3)
    for b in range(7):
        feats, text, text_len = utterances(b)
        logp = asr(feats)
        frames = torch.full((len(feats),), logp.size(1))
        loss = ctc(logp.transpose(0, 1), text, frames, text_len)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(f"batch {b} ctc {loss.item():.4f}")


if __name__ == "__main__":
    main()
