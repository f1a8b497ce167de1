import torch
from torch import nn
import torch.nn.functional as F

learning_rate, warmup_steps, max_iters, eval_interval = 3e-3, 4, 8, 4
torch.manual_seed(35)


class GPT(nn.Module):
    def __init__(self, vocab=24, dim=16, block=8):
        super().__init__()
        self.tok, self.pos = nn.Embedding(vocab, dim), nn.Parameter(torch.zeros(block, dim))
        self.layer = nn.TransformerEncoderLayer(dim, 2, 32, dropout=0.0, batch_first=True, norm_first=True)
        self.head = nn.Linear(dim, vocab)
        self.register_buffer("mask", torch.triu(torch.full((block, block), float("-inf")), 1))

    def forward(self, ids):
        return self.head(self.layer(self.tok(ids) + self.pos, src_mask=self.mask))


def get_batch(n=8):
    start = torch.randint(0, 24, (n, 1))
    seq = (start + 3 * torch.arange(9)) % 24
    return seq[:, :-1], seq[:, 1:]


def train(gpt, optimizer):
    step_count = 0
    for iter_num in range(max_iters):
        if step_count <= warmup_steps:
            # linear warmup
            lr = learning_rate * step_count / warmup_steps
            for param_group in optimizer.param_groups:
                param_group["lr"] = lr
        ids, targets = get_batch()
        loss = F.cross_entropy(gpt(ids).flatten(0, 1), targets.flatten())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if step_count > warmup_steps:
            step_count += 1
        if iter_num % eval_interval == 0:
            print(f"iter {iter_num} step {step_count} loss {loss.item():.4f}")


gpt = GPT()
train(gpt, torch.optim.AdamW(gpt.parameters(), lr=learning_rate, weight_decay=0.02))
