import torch
from torch import nn
import torch.nn.functional as F
from config import CONFIG


class Seq2SeqTrainer:
    def __init__(self, cfg, vocab=20, dim=24):
        self.cfg = cfg
        self.embed_size = vocab
        self.encoder = nn.ModuleDict({"emb": nn.Embedding(vocab, dim), "rnn": nn.GRU(dim, dim, batch_first=True)})
        self.decoder = nn.ModuleDict({"emb": nn.Embedding(vocab, dim), "rnn": nn.GRU(dim, dim, batch_first=True),
                                      "out": nn.Linear(dim, vocab)})
        self.params = list(self.encoder.parameters()) + list(self.decoder.parameters())
        self.optim = torch.optim.SGD(self.params, lr=cfg["optim"]["lr"])

    def loss(self, src, tgt):
        _, h = self.encoder["rnn"](self.encoder["emb"](src))
        inp = F.pad(tgt[:, :-1], (1, 0))
        out, _ = self.decoder["rnn"](self.decoder["emb"](inp), h)
        return F.cross_entropy(self.decoder["out"](out).flatten(0, 1), tgt.flatten())

    def _step(self):
        nn.utils.clip_grad_norm_(self.params, self.cfg["max_grad_norm"])
        self.optim.step()
        self.optim.zero_grad()

    def train(self):
        for step in range(self.cfg["train_steps"]):
            src = torch.randint(1, self.embed_size, (self.cfg["batch_size"], 7))
            loss = self.loss(src, src.flip(1))
            loss.backward()
            self._step()
            print(f"Step {step}; xent: {loss.item():.4f}")


torch.manual_seed(CONFIG["seed"])
trainer = Seq2SeqTrainer(CONFIG)
trainer.train()
