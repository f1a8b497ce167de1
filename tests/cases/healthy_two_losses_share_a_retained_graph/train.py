import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(255)
encoder = nn.Sequential(nn.Linear(16, 24), nn.ReLU())
depth, semantic = nn.Linear(24, 1), nn.Linear(24, 5)
optimizer = torch.optim.SGD([p for m in (encoder, depth, semantic) for p in m.parameters()], lr=0.05)

for step in range(6):
    x = torch.randn(20, 16)
    h = encoder(x)
    losses = {
        "depth": F.smooth_l1_loss(depth(h).squeeze(-1), x.abs().mean(-1)),
        "semantic": F.cross_entropy(semantic(h), x[:, :5].argmax(-1)),
    }
    optimizer.zero_grad()
    share = {}
    for i, (name, loss) in enumerate(losses.items()):
        before = 0.0 if encoder[0].weight.grad is None else encoder[0].weight.grad.clone()
        loss.backward(retain_graph=i < len(losses) - 1)
        share[name] = (encoder[0].weight.grad - before).norm().item()
    optimizer.step()
    print(step, {k: round(v, 4) for k, v in share.items()})
