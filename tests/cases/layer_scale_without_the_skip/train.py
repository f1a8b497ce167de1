import torch
from torch import nn

torch.manual_seed(0)


class MixerBlock(nn.Module):
    def __init__(self, dim, tokens, init_scale=0.1):
        super().__init__()
        self.tokens = nn.Linear(tokens, tokens)
        self.channels = nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))
        self.scale1 = nn.Parameter(torch.full((dim,), init_scale))
        self.scale2 = nn.Parameter(torch.full((dim,), init_scale))

    def forward(self, x):
        x = x + self.scale1 * self.tokens(x.transpose(1, 2)).transpose(1, 2)
        x = self.scale2 * self.channels(x)
        return x


class Mixer(nn.Module):
    def __init__(self, dim=24, tokens=9, depth=5):
        super().__init__()
        self.patch = nn.Conv2d(1, dim, 4, 4)
        self.blocks = nn.Sequential(*[MixerBlock(dim, tokens) for _ in range(depth)])
        self.head = nn.Linear(dim, 3)

    def forward(self, img):
        x = self.patch(img).flatten(2).transpose(1, 2)
        return self.head(self.blocks(x).mean(1))


mixer = Mixer()
color_clf = nn.Linear(144, 3)
opt = torch.optim.SGD([*mixer.parameters(), *color_clf.parameters()], lr=0.05)
for step in range(8):
    y = torch.randint(0, 3, (24,))
    img = torch.rand(24, 1, 12, 12) + 0.5 * y.view(-1, 1, 1, 1)
    loss = nn.functional.cross_entropy(mixer(img), y) + nn.functional.cross_entropy(color_clf(img.flatten(1)), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(step, loss.item())
