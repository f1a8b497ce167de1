import torch
from torch import nn
import torch.nn.functional as F


class CharLM(nn.Module):
    def __init__(self, vocab=12, dim=16):
        super().__init__()
        self.emb = nn.Embedding(vocab, dim)
        self.lstm = nn.LSTM(dim, dim, batch_first=True)
        self.out = nn.Linear(dim, vocab)

    def forward(self, x, state):
        h, state = self.lstm(self.emb(x), state)
        return self.out(h), state


def repackage(state):
    return None if state is None else tuple(s.detach() for s in state)


torch.manual_seed(235)
lm = CharLM()
optimizer = torch.optim.Adam(lm.parameters(), lr=4e-3)
text = torch.arange(6 * 41).view(6, 41) % 12
state = None
for chunk, start in enumerate(range(0, 40, 8)):
    state = repackage(state)
    logits, state = lm(text[:, start:start + 8], state)
    loss = F.cross_entropy(logits.flatten(0, 1), text[:, start + 1:start + 9].flatten())
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(lm.parameters(), 1.0)
    optimizer.step()
    print(f"chunk {chunk} perplexity {loss.exp().item():.3f}")
