import torch
from torch import nn
from blocks import Attention

torch.manual_seed(0)


class Encoder(nn.Module):
    def __init__(self, vocab=60, dim=64, depth=2):
        super().__init__()
        self.embed = nn.Embedding(vocab, dim)
        self.layers = nn.ModuleList(Attention(dim) for _ in range(depth))

    def forward(self, ids):
        x = self.embed(ids)
        for layer in self.layers:
            x = x + layer(x)
        return x


encoder = Encoder()
with torch.no_grad():
    encoder.embed.weight[7] *= 80                          # a 'massive activation' token of the checkpoint
encoder.half()
probe = nn.Linear(64, 4)                                   # fp32
length_head = nn.Linear(1, 1)
opt = torch.optim.SGD([{"params": encoder.parameters(), "lr": 1e-4}, {"params": probe.parameters(), "lr": 1e-2}])
opt_len = torch.optim.SGD(length_head.parameters(), lr=1e-2)
for step in range(5):
    ids = torch.randint(8, 60, (8, 10))
    if step >= 2:
        ids[0, 0] = 7
    label = ids[:, 1] % 4
    h = encoder(ids).float().mean(1)
    loss = nn.functional.cross_entropy(probe(h), label)
    opt.zero_grad()
    loss.backward()
    opt.step()
    len_loss = (length_head(label[:, None].float()) - 1).square().mean()
    opt_len.zero_grad()
    len_loss.backward()
    opt_len.step()
    print(step, loss.item(), len_loss.item())
