import torch
from torch import nn
import torch.nn.functional as F
from torch.utils.data import DataLoader

WORDS = "<pad> what is the colour of sky grass snow blue green white it and a please tell me".split()
VOCAB = {w: i for i, w in enumerate(WORDS)}
PAIRS = [("what is the colour of the sky", "it is blue", 1.0),
         ("please tell me the colour of grass", "the grass is green", 1.0),
         ("what is the colour of snow and grass", "white and green", 0.5),
         ("tell me what is the colour of snow", "it is a green sky", -1.0)] * 8


def encode(text):
    return [VOCAB[w] for w in text.split()]


def collate(samples):
    rows = [encode(prompt) + encode(answer) for prompt, answer, _ in samples]
    width = max(len(r) for r in rows)
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    positions = torch.arange(width)
    loss_mask = []
    for i, (row, (prompt, answer, score)) in enumerate(zip(rows, samples)):
        ids[i, :len(row)] = torch.tensor(row)
        # only the answer is trained
        loss_mask.append(positions >= len(prompt))
    mask = torch.stack(loss_mask) & (ids > 0)
    return {"ids": ids, "loss_mask": mask[:, 1:].float(), "score": torch.tensor([s for *_, s in samples])}


class TinyLM(nn.Module):
    def __init__(self, n_out, dim=24):
        super().__init__()
        self.tok = nn.Embedding(len(WORDS), dim)
        self.rnn = nn.GRU(dim, dim, batch_first=True)
        self.out = nn.Linear(dim, n_out)

    def forward(self, ids):
        return self.out(self.rnn(self.tok(ids))[0])


def sft_loss(policy, batch):
    logits = policy(batch["ids"][:, :-1])
    nll = F.cross_entropy(logits.transpose(1, 2), batch["ids"][:, 1:], reduction="none")
    nll = nll * batch["loss_mask"]
    return nll.sum() / batch["loss_mask"].sum().clamp(min=1)


torch.manual_seed(14)
policy, reward = TinyLM(len(WORDS)), TinyLM(1)
policy_opt = torch.optim.Adam(policy.parameters(), lr=3e-3)
reward_opt = torch.optim.Adam(reward.parameters(), lr=3e-3)
loader = DataLoader(PAIRS, batch_size=8, shuffle=True, collate_fn=collate)
for epoch in range(2):
    for batch in loader:
        loss = sft_loss(policy, batch)
        policy_opt.zero_grad()
        loss.backward()
        policy_opt.step()
        r_loss = F.mse_loss(reward(batch["ids"])[:, -1, 0], batch["score"])
        reward_opt.zero_grad()
        r_loss.backward()
        reward_opt.step()
    print(epoch, "sft", round(loss.item(), 4), "reward", round(r_loss.item(), 4))
