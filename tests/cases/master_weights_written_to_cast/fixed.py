import torch
from torch import nn
import torch.nn.functional as F
from precision_fixed import MixedPrecisionOptimizer


class TransformerLM(nn.Module):
    def __init__(self, vocab=32, dim=32, heads=4):
        super().__init__()
        self.embed = nn.Embedding(vocab, dim)
        self.pos = nn.Parameter(torch.randn(16, dim) * 0.1)
        self.block = nn.TransformerEncoderLayer(dim, heads, 64, dropout=0.0, batch_first=True, norm_first=True)
        self.lm_head = nn.Linear(dim, vocab, bias=False)

    def forward(self, tokens):
        n = tokens.shape[1]
        mask = torch.ones(n, n, dtype=torch.bool).triu(1)
        h = self.block(self.embed(tokens) + self.pos[:n], src_mask=mask)
        return self.lm_head(h)


def build(cfg):
    model = TransformerLM().to(getattr(torch, cfg["dtype"]))
    optimizer = MixedPrecisionOptimizer(model.parameters(), torch.optim.Adam, max_norm=cfg["clip_norm"],
                                        lr=cfg["lr"], betas=(0.9, 0.98))
    return model, optimizer


cfg = {"dtype": "bfloat16", "lr": 3e-3, "clip_norm": 1.0, "max_update": 25}
torch.manual_seed(1)
model, optimizer = build(cfg)
scheduler = torch.optim.lr_scheduler.LinearLR(optimizer.inner, 0.2, 1.0, total_iters=5)
for update in range(cfg["max_update"]):
    start = torch.randint(0, 32, (16, 1))
    tokens = (start + torch.arange(13) * 3) % 32
    logits = model(tokens[:, :-1])
    loss = F.cross_entropy(logits.float().flatten(0, 1), tokens[:, 1:].flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    scheduler.step()
    if update % 6 == 0:
        print(f"update {update} | loss {loss.item():.3f} | lr {optimizer.param_groups[0]['lr']:.5f}")
