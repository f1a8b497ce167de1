import argparse
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence


def get_args(argv=()):
    p = argparse.ArgumentParser()
    p.add_argument("--hidden", type=int, default=24)
    p.add_argument("--learning_rate", type=float, default=2.0)
    p.add_argument("--max_grad_norm", type=float, default=0)
    p.add_argument("--updates", type=int, default=16)
    return p.parse_args(argv)


class Tagger(nn.Module):
    def __init__(self, n_words, hidden, n_tags):
        super().__init__()
        self.embed = nn.Embedding(n_words, hidden, padding_idx=0)
        self.rnn = nn.LSTM(hidden, hidden // 2, bidirectional=True, batch_first=True)
        self.tag = nn.Linear(hidden, n_tags)

    def forward(self, words, lengths):
        packed = pack_padded_sequence(self.embed(words), lengths, batch_first=True, enforce_sorted=False)
        out, _ = pad_packed_sequence(self.rnn(packed)[0], batch_first=True)
        return self.tag(out)


class Optim:
    """Optimizer with gradient clipping, after the old Lua interface."""

    def __init__(self, params, opt):
        self.params = list(params)
        self.max_grad_norm = opt.max_grad_norm
        self.method = torch.optim.SGD(self.params, lr=opt.learning_rate)

    def step(self):
        if self.max_grad_norm:
            nn.utils.clip_grad_norm_(self.params, self.max_grad_norm)
        self.method.step()
        self.method.zero_grad()


def sentences(n):
    words = [torch.randint(1, 30, (int(k),)) for k in torch.randint(3, 9, (n,))]
    tags = [w % 3 for w in words]
    return pad_sequence(words, True), pad_sequence(tags, True, -100), torch.tensor([len(w) for w in words])


opt = get_args()
torch.manual_seed(21)
tagger = Tagger(30, opt.hidden, 3)
optim = Optim(tagger.parameters(), opt)
for update in range(opt.updates):
    words, tags, lengths = sentences(32)
    scores = tagger(words, lengths)
    loss = nn.functional.cross_entropy(scores.flatten(0, 1), tags.flatten(), ignore_index=-100)
    loss.backward()
    optim.step()
    print("update", update, "ppl %.3f" % loss.exp().item())
