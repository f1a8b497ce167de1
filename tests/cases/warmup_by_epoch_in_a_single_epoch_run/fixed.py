import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

EPOCHS, WARMUP_EPOCHS, LR = 1, 1, 2e-3


class Tokens(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(40, 16)
        self.attn = nn.MultiheadAttention(16, 2, batch_first=True)
        self.lm = nn.Linear(16, 40)

    def forward(self, ids):
        h = self.emb(ids)
        h = h + self.attn(h, h, h, need_weights=False)[0]
        return self.lm(h)


def set_lr(optimizer, epoch):
    lr = LR * min(1.0, (epoch + 1) / (WARMUP_EPOCHS + 1))
    for group in optimizer.param_groups:
        group["lr"] = lr
    return lr


torch.manual_seed(331)
net = Tokens()
optimizer = torch.optim.AdamW(net.parameters(), lr=LR)
corpus = DataLoader(TensorDataset(torch.randint(0, 40, (40, 9))), batch_size=8)
for epoch in range(EPOCHS):
    lr = set_lr(optimizer, epoch)
    for i, (ids,) in enumerate(corpus):
        logits = net(ids[:, :-1])
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(f"epoch {epoch} batch {i} lr {lr} loss {loss.item():.4f}")
