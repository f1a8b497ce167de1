import torch
from torch import nn


class Block(nn.Module):
    def __init__(self, d, heads=2):
        super().__init__()
        self.heads = heads
        self.ln1, self.ln2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.qkv = nn.Linear(d, 3 * d, bias=False)
        self.proj = nn.Linear(d, d)
        self.mlp = nn.Sequential(nn.Linear(d, 2 * d), nn.GELU(), nn.Linear(2 * d, d))

    def forward(self, x):
        b, t, d = x.shape
        q, k, v = self.qkv(self.ln1(x)).view(b, t, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mask = torch.full((t, t), float("-inf")).triu(1)
        w = (q @ k.transpose(-2, -1) / q.size(-1) ** 0.5 + mask).softmax(-1)
        x = x + self.proj((w @ v).transpose(1, 2).reshape(b, t, d))
        return x + self.mlp(self.ln2(x))


class GPT(nn.Module):
    def __init__(self, vocab=20, d=16, ctx=10):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocab, d), nn.Embedding(ctx, d)
        self.blocks = nn.ModuleList([Block(d), Block(d)])
        self.lm_head = nn.Linear(d, vocab, bias=False)
        self.lm_head.weight = self.wte.weight

    def forward(self, ids):
        x = self.wte(ids) + self.wpe(torch.arange(ids.size(1)))
        for block in self.blocks:
            x = block(x)
        return self.lm_head(x)


torch.manual_seed(0)
gpt = GPT()
opt = torch.optim.AdamW(gpt.parameters(), lr=3e-3)
seq = torch.arange(500) * 3 % 20
for step in range(8):
    i = torch.randint(0, 480, (16, 1)) + torch.arange(11)
    logits = gpt(seq[i][:, :-1])
    loss = nn.functional.cross_entropy(logits.flatten(0, 1), seq[i][:, 1:].flatten())
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(step, loss.item())
