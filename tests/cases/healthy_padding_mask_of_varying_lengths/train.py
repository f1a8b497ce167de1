import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence


class Encoder(nn.Module):
    def __init__(self, vocab=300, d=16):
        super().__init__()
        self.emb = nn.Embedding(vocab, d, padding_idx=0)
        self.att = nn.MultiheadAttention(d, 2, batch_first=True)

    def forward(self, ids):
        x = self.emb(ids)
        y, _ = self.att(x, x, x, key_padding_mask=ids == 0, need_weights=False)
        return x + y


torch.manual_seed(0)
encoder, head = Encoder(), nn.Linear(16, 3)
opt = torch.optim.Adam([*encoder.parameters(), *head.parameters()], lr=2e-3)
for step in range(8):
    texts = [torch.randint(1, 300, (int(n),)) for n in torch.randint(1, 9, (12,))]
    ids = pad_sequence(texts, batch_first=True)
    target = ids % 3
    ce = nn.functional.cross_entropy(head(encoder(ids)).transpose(1, 2), target, reduction="none")
    keep = (ids != 0).float()
    loss = (ce * keep).sum() / keep.sum()
    opt.zero_grad()
    loss.backward()
    opt.step()
    print("step", step, loss.item())
