import torch
from torch import nn
import torch.nn.functional as F


class TokenPolicy(nn.Module):
    def __init__(self, vocab, dim=24):
        super().__init__()
        self.vocab = vocab
        self.embed = nn.Embedding(vocab, dim)
        self.gru = nn.GRU(dim, dim, batch_first=True)
        self.lm_head = nn.Linear(dim, vocab)

    def forward(self, ids):
        return self.lm_head(self.gru(self.embed(ids))[0])

    @torch.no_grad()
    def generate(self, prompts, length):
        ids = prompts
        for _ in range(length):
            probs = self(ids)[:, -1].softmax(-1)
            ids = torch.cat([ids, torch.multinomial(probs, 1)], dim=1)
        return ids

    def token_logps(self, ids, length):
        logps = F.log_softmax(self(ids[:, :-1]), dim=-1)
        return logps.gather(2, ids[:, 1:].unsqueeze(2)).squeeze(2)[:, -length:]
