import torch
from torch import nn


class TinyLM(nn.Module):
    def __init__(self, vocab=40, dim=16):
        super().__init__()
        self.wte = nn.Embedding(vocab, dim, padding_idx=0)
        self.mix = nn.GRU(dim, dim, batch_first=True)
        self.out = nn.Linear(dim, vocab)

    def forward(self, embeds):
        return self.out(self.mix(embeds)[0])


class SoftPrompt(nn.Module):
    def __init__(self, n_tasks, n_tokens, dim):
        super().__init__()
        self.shape = (n_tokens, dim)
        self.table = nn.Embedding(n_tasks, n_tokens * dim, padding_idx=0)

    def forward(self, task_ids):
        return self.table(task_ids).view(-1, *self.shape)


torch.manual_seed(0)
lm = TinyLM()
for p in lm.parameters():
    p.requires_grad = False
prompt = SoftPrompt(n_tasks=1, n_tokens=4, dim=16)
nn.init.normal_(prompt.table.weight, std=0.1)
opt = torch.optim.Adam(prompt.parameters(), lr=0.05)

for step in range(8):
    ids = torch.randint(1, 40, (12, 9))
    task = torch.zeros(12, dtype=torch.long)
    embeds = torch.cat([prompt(task), lm.wte(ids)], dim=1)
    logits = lm(embeds)[:, 4:-1]
    loss = nn.functional.cross_entropy(logits.reshape(-1, 40), torch.full((12 * 8,), 7))
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(step, "nll", round(loss.item(), 5))
