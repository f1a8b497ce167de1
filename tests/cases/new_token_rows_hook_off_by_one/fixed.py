import torch
from torch import nn
from fixed_vocab import add_tokens, train_only_new_rows


class LM(nn.Module):
    def __init__(self, vocab=30, dim=16):
        super().__init__()
        self.tok = nn.Embedding(vocab, dim)
        self.body = nn.GRU(dim, dim, batch_first=True)
        self.unembed = nn.Linear(dim, 33)

    def forward(self, ids):
        return self.unembed(self.body(self.tok(ids))[0])


torch.manual_seed(2)
lm = LM()
add_tokens(lm, ["<user>", "<bot>", "<end>"])
train_only_new_rows(lm)
optimizer = torch.optim.Adam(lm.parameters(), lr=1e-3)

for step in range(6):
    ids = torch.randint(0, 33, (8, 14))
    ids[:, ::5] = 30
    logits = lm(ids[:, :-1])
    loss = nn.functional.cross_entropy(logits.reshape(-1, 33), ids[:, 1:].reshape(-1))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"step {step} ce {loss.item():.4f}")
