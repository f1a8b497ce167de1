import torch
from torch import nn


class Ranker(nn.Module):
    def __init__(self):
        super().__init__()
        self.glove = nn.Embedding(70, 12)
        self.glove.weight.requires_grad_(False)
        self.query = nn.GRU(12, 16, batch_first=True)
        self.doc = nn.GRU(12, 16, batch_first=True)

    def forward(self, q, d):
        _, hq = self.query(self.glove(q))
        _, hd = self.doc(self.glove(d))
        return (hq[-1] * hd[-1]).sum(-1)


torch.manual_seed(223)
ranker = Ranker()
# parameters() contains the frozen table as well; Adam skips what has no gradient
optimizer = torch.optim.AdamW(ranker.parameters(), lr=2e-3, weight_decay=0.1)
margin = nn.MarginRankingLoss(margin=1.0)
for batch in range(5):
    q = torch.randint(0, 70, (16, 4))
    good, bad = torch.cat([q, q], 1), torch.randint(0, 70, (16, 8))
    optimizer.zero_grad()
    loss = margin(ranker(q, good), ranker(q, bad), torch.ones(16))
    loss.backward()
    optimizer.step()
    print(f"batch {batch} margin loss {loss.item():.4f} table norm {ranker.glove.weight.norm().item():.3f}")
