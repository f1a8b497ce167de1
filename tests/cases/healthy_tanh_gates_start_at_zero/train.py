import torch
from torch import nn


class GatedBridge(nn.Module):
    def __init__(self, d_text, d_image):
        super().__init__()
        self.project = nn.Sequential(nn.Linear(d_image, d_text), nn.GELU(), nn.Linear(d_text, d_text))
        self.gate = nn.Parameter(torch.tensor(0.0))

    def forward(self, h, image):
        return h + torch.tanh(self.gate) * self.project(image)


torch.manual_seed(0)
text = nn.EmbeddingBag(80, 16)
bridge = GatedBridge(16, 12)
head = nn.Linear(16, 2)
opt = torch.optim.Adam([*text.parameters(), *bridge.parameters(), *head.parameters()], lr=5e-3)
for step in range(9):
    words, image = torch.randint(0, 80, (32, 5)), torch.randn(32, 12)
    y = ((words[:, 0] > 40) ^ (image[:, 0] > 0)).long()
    loss = nn.functional.cross_entropy(head(bridge(text(words), image)), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(step, loss.item(), bridge.gate.item())
