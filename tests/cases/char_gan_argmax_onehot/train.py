import torch
from torch import nn
import torch.nn.functional as F

VOCAB, LENGTH, NOISE = 12, 6, 10


class Generator(nn.Module):
    def __init__(self):
        super().__init__()
        self.start = nn.Linear(NOISE, 32)
        self.cell = nn.GRUCell(VOCAB, 32)
        self.out = nn.Linear(32, VOCAB)

    def forward(self, z):
        h, tok, text = torch.tanh(self.start(z)), torch.zeros(len(z), VOCAB), []
        for _ in range(LENGTH):
            h = self.cell(tok, h)
            probs = F.softmax(self.out(h), dim=-1)
            tok = F.one_hot(probs.argmax(dim=-1), VOCAB).float()
            text.append(tok)
        return torch.stack(text, dim=1)


class Discriminator(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.GRU(VOCAB, 24, batch_first=True)
        self.fc = nn.Linear(24, 1)

    def forward(self, text):
        return self.fc(self.rnn(text)[1][0]).squeeze(1)


def real_text(n):
    first = torch.randint(0, VOCAB, (n, 1))
    return F.one_hot((first + torch.arange(LENGTH)) % VOCAB, VOCAB).float()


torch.manual_seed(9)
G, D = Generator(), Discriminator()
opt_g, opt_d = (torch.optim.Adam(m.parameters(), lr=1e-3, betas=(0.5, 0.9)) for m in (G, D))
bce = F.binary_cross_entropy_with_logits
for it in range(5):
    fake = G(torch.randn(16, NOISE))
    d_loss = bce(D(real_text(16)), torch.ones(16)) + bce(D(fake.detach()), torch.zeros(16))
    opt_d.zero_grad()
    d_loss.backward()
    opt_d.step()

    g_loss = bce(D(fake), torch.ones(16))
    opt_g.zero_grad()
    g_loss.backward()
    opt_g.step()
    print(f"{it}: D {d_loss.item():.4f} G {g_loss.item():.4f}")
