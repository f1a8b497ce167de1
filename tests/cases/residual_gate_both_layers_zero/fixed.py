import torch
from torch import nn


class LanguageGate(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.res_gate = nn.Sequential(nn.Linear(dim, dim, bias=False), nn.ReLU(), nn.Linear(dim, dim, bias=False), nn.Tanh())
        self.fusion = nn.Bilinear(dim, dim, dim)
        self.reset()

    def reset(self):
        # ease the start of training: the block is the identity
        nn.init.zeros_(self.res_gate[2].weight)

    def forward(self, x, lang):
        fused = self.fusion(x, lang)
        return x + self.res_gate(fused) * fused


class Segmenter(nn.Module):
    def __init__(self, dim=16):
        super().__init__()
        self.visual = nn.Linear(6, dim)
        self.text = nn.Embedding(10, dim)
        self.gate = LanguageGate(dim)
        self.mask = nn.Linear(dim, 1)

    def forward(self, pixels, word):
        x = self.visual(pixels)
        return self.mask(self.gate(x, self.text(word)[:, None].expand_as(x))).squeeze(-1)


torch.manual_seed(0)
seg = Segmenter()
opt = torch.optim.AdamW(seg.parameters(), lr=2e-3, weight_decay=0.0)
for step in range(9):
    pixels = torch.randn(8, 20, 6)
    word = torch.randint(0, 6, (8,))
    target = (pixels[torch.arange(8), :, word] > 0).float()
    loss = nn.functional.binary_cross_entropy_with_logits(seg(pixels, word), target)
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(step, loss.item())
