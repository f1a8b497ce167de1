import torch
import torch.nn.functional as F
from torch import nn

WORDS = ["<pad>", "<bos>", "###", "question", "answer", ":"] + [f"w{i}" for i in range(30)]
IDS = {w: i for i, w in enumerate(WORDS)}
IGNORE = -100


def encode(words, bos=True):
    return ([IDS["<bos>"]] if bos else []) + [IDS[w] for w in words]


class CompletionCollator:
    def __init__(self, template):
        self.template = encode(template)

    def locate(self, ids):
        k = len(self.template)
        return next((i + k for i in range(len(ids) - k + 1) if ids[i:i + k] == self.template), len(ids))

    def __call__(self, samples):
        width = max(map(len, samples))
        ids = torch.zeros(len(samples), width, dtype=torch.long)
        labels = torch.full((len(samples), width), IGNORE)
        for row, sample in enumerate(samples):
            ids[row, :len(sample)] = torch.tensor(sample)
            start = self.locate(sample)
            labels[row, start:len(sample)] = ids[row, start:len(sample)]
        return ids, labels


class GRULanguageModel(nn.Module):
    def __init__(self, vocab, dim=24):
        super().__init__()
        self.wte = nn.Embedding(vocab, dim)
        self.rnn = nn.GRU(dim, dim, batch_first=True)
        self.out = nn.Linear(dim, vocab)

    def forward(self, ids):
        return self.out(self.rnn(self.wte(ids))[0])


def lm_loss(logits, labels):
    total = F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=IGNORE, reduction="sum")
    return total / (labels[:, 1:] != IGNORE).sum().clamp(min=1)


def dialogue(rng):
    q = torch.randint(30, (4,), generator=rng).tolist()
    a = sorted(q)
    return encode(["###", "question", ":"] + [f"w{i}" for i in q] + ["###", "answer", ":"] + [f"w{i}" for i in a])


torch.manual_seed(0)
rng = torch.Generator().manual_seed(4)
collate = CompletionCollator(["###", "answer", ":"])
lm = GRULanguageModel(len(WORDS))
optimizer = torch.optim.AdamW(lm.parameters(), lr=1e-2, weight_decay=0.01)
for step in range(8):
    ids, labels = collate([dialogue(rng) for _ in range(16)])
    loss = lm_loss(lm(ids), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"step {step} loss {loss.item():.4f}")
