import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
trunk = nn.Linear(8, 16)
router = nn.Linear(16, 3)
optimizer = torch.optim.SGD([*trunk.parameters(), *router.parameters()], lr=0.1)

for step in range(10):
    x, y = torch.randn(32, 8), torch.randint(0, 3, (32,))
    logits = 80 * router(trunk(x).tanh())
    p = logits.softmax(-1)
    entropy = -(p * logits.log_softmax(-1)).sum(-1).mean()
    loss = F.nll_loss((p + 1e-6).log(), y) - 0.01 * entropy
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
