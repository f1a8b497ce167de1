import torch
from torch import nn


class VisualAdapter(nn.Module):
    def __init__(self, dim, visual_dim):
        super().__init__()
        self.down = nn.Linear(visual_dim, dim)
        self.up = nn.Linear(dim, dim)
        self.gate = nn.Parameter(torch.zeros(1))
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, h, visual):
        delta = self.up(torch.nn.functional.gelu(self.down(visual)))
        return h + torch.tanh(self.gate) * delta


class Net(nn.Module):
    def __init__(self, vocab=50, dim=24, visual_dim=10):
        super().__init__()
        self.backbone = nn.Sequential(nn.Embedding(vocab, dim), nn.Linear(dim, dim), nn.GELU())
        self.adapter = VisualAdapter(dim, visual_dim)
        self.head = nn.Linear(dim, vocab)

    def forward(self, tokens, visual):
        h = self.backbone(tokens)
        h = self.adapter(h, visual[:, None].expand(-1, tokens.size(1), -1))
        return self.head(h)


torch.manual_seed(0)
net = Net()
net.backbone.requires_grad_(False)
opt = torch.optim.AdamW([p for p in net.parameters() if p.requires_grad], lr=1e-3, weight_decay=0.0)

for step in range(8):
    visual = torch.randn(16, 10)
    tokens = torch.randint(0, 50, (16, 6))
    target = (tokens + (visual[:, :1] > 0).long()) % 50
    logits = net(tokens, visual)
    loss = nn.functional.cross_entropy(logits.flatten(0, 1), target.flatten())
    opt.zero_grad(set_to_none=True)
    loss.backward()
    opt.step()
    print(step, f"{loss.item():.4f}", "gate", net.adapter.gate.item())
