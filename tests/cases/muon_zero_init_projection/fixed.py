import torch
from torch import nn
import torch.nn.functional as F
from muon_fixed import NorMuon

torch.manual_seed(17)


class MLPBlock(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.c_fc = nn.Linear(dim, 2 * dim, bias=False)
        self.c_proj = nn.Linear(2 * dim, dim, bias=False)
        nn.init.zeros_(self.c_proj.weight)

    def forward(self, x):
        return x + self.c_proj(F.relu(self.c_fc(F.layer_norm(x, x.shape[-1:]))).square())


class BigramGPT(nn.Module):
    def __init__(self, vocab=48, dim=24, depth=2):
        super().__init__()
        self.wte = nn.Embedding(vocab, dim)
        self.blocks = nn.ModuleList(MLPBlock(dim) for _ in range(depth))
        self.lm_head = nn.Linear(dim, vocab, bias=False)

    def forward(self, idx):
        x = self.wte(idx)
        for block in self.blocks:
            x = block(x)
        return self.lm_head(x)


gpt = BigramGPT()
matrices = [p for p in gpt.blocks.parameters() if p.ndim == 2]
optimizers = [
    torch.optim.Adam([*gpt.wte.parameters(), *gpt.lm_head.parameters()], lr=3e-3, betas=(0.8, 0.95)),
    NorMuon(matrices, lr=0.01),
]
table = torch.randperm(48)
for step in range(20):
    idx = torch.randint(0, 48, (8, 16))
    loss = F.cross_entropy(gpt(idx).flatten(0, 1), table[idx].flatten())
    loss.backward()
    for opt in optimizers:
        opt.step()
    for opt in optimizers:
        opt.zero_grad(set_to_none=True)
    if step % 5 == 0:
        print(f"step:{step}/20 train_loss:{loss.item():.4f}")
