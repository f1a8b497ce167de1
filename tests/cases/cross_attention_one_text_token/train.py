import torch
from torch import nn

torch.manual_seed(21)


class CrossAttention(nn.Module):
    def __init__(self, dim, context_dim, heads):
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(dim, dim, bias=False)
        self.key = nn.Linear(context_dim, dim, bias=False)
        self.value = nn.Linear(context_dim, dim, bias=False)
        self.out = nn.Linear(dim, dim)

    def split(self, x):
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def forward(self, x, context):
        q, k, v = map(self.split, (self.query(x), self.key(context), self.value(context)))
        weights = torch.einsum("bhqd,bhkd->bhqk", q, k).div(q.shape[-1] ** 0.5).softmax(dim=-1)
        mixed = torch.einsum("bhqk,bhkd->bhqd", weights, v)
        return x + self.out(mixed.transpose(1, 2).flatten(2))


class TextTower(nn.Module):
    def __init__(self, vocab, dim):
        super().__init__()
        self.words = nn.Embedding(vocab, dim)
        self.rnn = nn.GRU(dim, dim, batch_first=True)

    def forward(self, ids):
        states, last = self.rnn(self.words(ids))
        return last.transpose(0, 1)


class VQA(nn.Module):
    def __init__(self, dim=16):
        super().__init__()
        self.image = nn.Sequential(nn.Conv2d(3, dim, 4, stride=4), nn.GELU(), nn.Flatten(2))
        self.text = TextTower(20, 12)
        self.fusion = CrossAttention(dim, 12, heads=2)
        self.answer = nn.Sequential(nn.GELU(), nn.Linear(dim, 2))

    def forward(self, pixels, question):
        patches = self.image(pixels).transpose(1, 2)
        return self.answer(self.fusion(patches, self.text(question))).mean(1)


class Learner:
    def __init__(self, model, lr):
        self.model, self.opt, self.hooks = model, torch.optim.Adam(model.parameters(), lr=lr), []

    def after_step(self, fn):
        self.hooks.append(fn)
        return fn

    def step(self, pixels, question, y):
        loss = nn.functional.cross_entropy(self.model(pixels, question), y)
        self.opt.zero_grad()
        loss.backward()
        self.opt.step()
        for fn in self.hooks:
            fn(loss.item())


model = VQA()
learner = Learner(model, lr=3e-3)
learner.after_step(lambda value: print(f"loss {value:.4f}"))
for _ in range(8):
    question = torch.randint(20, (24, 5))
    pixels = torch.randn(24, 3, 16, 16)
    y = (pixels[:, 0].mean((1, 2)) * (question[:, 0] - 9.5) > 0).long()
    learner.step(pixels, question, y)
