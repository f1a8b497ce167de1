import dataclasses
import torch
import torch.nn as nn


@dataclasses.dataclass
class TrainingArguments:
    learning_rate: float = 4e-3
    max_steps: int = 8
    batch_size: int = 24
    seed: int = 18
    new_tokens: tuple = ("<ctx>", "<end>")


class TinyLM(nn.Module):
    def __init__(self, vocab, dim):
        super().__init__()
        self.wte = nn.Embedding(vocab, dim)
        self.encoder = nn.GRU(dim, dim, batch_first=True)
        self.decoder = nn.Linear(dim, 40)

    def resize_token_embeddings(self, n):
        old = self.wte.weight.data
        self.wte = nn.Embedding(n, old.shape[1])
        self.wte.weight.data[: len(old)] = old

    def forward(self, ids):
        out, _ = self.encoder(self.wte(ids))
        return self.decoder(out)


class Trainer:
    def __init__(self, lm, args):
        self.lm, self.args = lm, args
        self.optimizer = None

    def create_optimizer(self):
        if self.optimizer is None:
            self.optimizer = torch.optim.AdamW(self.lm.parameters(), lr=self.args.learning_rate)

    def compute_loss(self, ids):
        logits = self.lm(ids[:, :-1])
        return nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten().clamp(max=39))

    def train(self, batches):
        self.create_optimizer()
        for step in range(self.args.max_steps):
            loss = self.compute_loss(next(batches))
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            print({"step": step, "loss": round(loss.item(), 4)})


def text(args, vocab):
    while True:
        start = torch.randint(0, 20, (args.batch_size, 1))
        body = (start + 3 * torch.arange(8)) % 40
        ctx = torch.full((args.batch_size, 1), vocab)
        yield torch.cat([ctx, body, ctx + 1], dim=1)


args = TrainingArguments()
torch.manual_seed(args.seed)
vocab = 40
trainer = Trainer(TinyLM(vocab, 24), args)
trainer.lm.resize_token_embeddings(vocab + len(args.new_tokens))
trainer.train(text(args, vocab))
