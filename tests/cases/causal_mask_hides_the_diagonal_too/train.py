import torch
from torch import nn
from decoder import Decoder

VOCAB, CTX = 30, 12
torch.manual_seed(0)
embed = nn.Embedding(VOCAB, 24)
decoder = Decoder(dim=24, vocab=VOCAB)
optimizer = torch.optim.AdamW([*embed.parameters(), *decoder.parameters()], lr=1e-3)
stream = torch.arange(3000) * 7 % VOCAB

for step in range(5):
    start = torch.randint(0, 2900, (16, 1))
    tokens = stream[start + torch.arange(CTX + 1)]
    logits = decoder(embed(tokens[:, :-1]))
    loss = nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print("step", step, "loss", loss.item())
