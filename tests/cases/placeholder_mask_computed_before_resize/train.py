import torch
from torch import nn
from tokens import Vocabulary, only_new_rows

torch.manual_seed(0)
vocab = Vocabulary([f"w{i}" for i in range(24)])
vocab.add("<my-toy>")

text = nn.Embedding(len(vocab), 16)
mixer = nn.Linear(16, 16).requires_grad_(False)
denoiser = nn.Sequential(nn.Linear(8 + 16, 32), nn.SiLU(), nn.Linear(32, 8))
adapter = nn.Linear(16, 16)
only_new_rows(text, vocab)

trainable = [*text.parameters(), *adapter.parameters()]
denoiser.requires_grad_(False)
opt = torch.optim.AdamW(trainable, lr=5e-3, weight_decay=0.0)
prompt = torch.tensor([vocab.id("w3"), vocab.id("<my-toy>"), vocab.id("w7")])
toy = torch.randn(8)

for step in range(8):
    cond = adapter(mixer(text(prompt)).mean(0))
    noise = torch.randn(16, 8)
    pred = denoiser(torch.cat([toy + noise, cond.expand(16, -1)], -1))
    loss = (pred - noise).pow(2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(step, loss.item())
