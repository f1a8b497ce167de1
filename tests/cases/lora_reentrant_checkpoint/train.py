import torch
import torch.nn as nn
from torch.utils.checkpoint import checkpoint


class LoRALinear(nn.Linear):
    def __init__(self, n_in, n_out, rank=4):
        super().__init__(n_in, n_out)
        self.weight.requires_grad_(False)
        self.bias.requires_grad_(False)
        self.down = nn.Parameter(torch.randn(rank, n_in) / n_in ** 0.5)
        self.up = nn.Parameter(torch.zeros(n_out, rank))
        nn.init.normal_(self.up, std=1e-3)

    def forward(self, x):
        return super().forward(x) + x @ self.down.t() @ self.up.t()


class Block(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.qkv = LoRALinear(dim, 3 * dim)
        self.ff = LoRALinear(dim, dim)

    def forward(self, x):
        q, k, v = self.qkv(x).chunk(3, -1)
        x = x + nn.functional.scaled_dot_product_attention(q, k, v)
        return x + torch.relu(self.ff(x))


class Classifier(nn.Module):
    def __init__(self, vocab=40, dim=24, depth=3, gradient_checkpointing=False):
        super().__init__()
        self.embed = nn.Embedding(vocab, dim).requires_grad_(False)
        self.blocks = nn.ModuleList(Block(dim) for _ in range(depth))
        self.score = nn.Linear(dim, 2)
        self.gradient_checkpointing = gradient_checkpointing

    def forward(self, ids):
        h = self.embed(ids)
        for block in self.blocks:
            if self.gradient_checkpointing and self.training:
                h = checkpoint(block, h, use_reentrant=True)
            else:
                h = block(h)
        return self.score(h.mean(1))


torch.manual_seed(10)
model = Classifier(gradient_checkpointing=True)
trainable = [p for p in model.parameters() if p.requires_grad]
print(f"trainable: {sum(p.numel() for p in trainable)}")
optimizer = torch.optim.AdamW(trainable, lr=5e-3)

for step in range(8):
    ids = torch.randint(0, 40, (32, 10))
    labels = ((ids < 20).float().mean(1) > 0.5).long()
    loss = nn.functional.cross_entropy(model(ids), labels)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    print(f"step {step} loss {loss.item():.4f}")
