import torch
from torch import nn
import torch.nn.functional as F
from collate import collate

torch.manual_seed(0)
VOCAB = 40


class TinyLM(nn.Module):
    def __init__(self, dim=24):
        super().__init__()
        self.embed = nn.Embedding(VOCAB, dim)
        self.rnn = nn.GRU(dim, dim, batch_first=True)
        self.lm_head = nn.Linear(dim, VOCAB)
        self.reward_head = nn.Linear(dim, 1)

    def forward(self, ids):
        h, _ = self.rnn(self.embed(ids))
        return self.lm_head(h), self.reward_head(h[:, -1].detach()).squeeze(-1)


def masked_lm_loss(logits, ids, mask):
    nll = F.cross_entropy(logits[:, :-1].transpose(1, 2), ids[:, 1:], reduction="none")
    mask = mask[:, 1:].float()
    return (nll * mask).sum() / mask.sum().clamp(min=1.0)


def sample():
    prompt = torch.randint(5, 20, (6,)).tolist()
    return prompt, [t + 15 for t in prompt[:4]]


lm = TinyLM()
opt = torch.optim.AdamW(lm.parameters(), lr=2e-3)
for step in range(8):
    ids, mask = collate([sample() for _ in range(16)])
    logits, reward = lm(ids)
    loss = masked_lm_loss(logits, ids, mask) + F.mse_loss(reward, (ids[:, 1] % 2).float())
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(step, loss.item(), "tokens", int(mask.sum()))
