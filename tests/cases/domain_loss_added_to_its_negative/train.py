import torch
from torch import nn
import torch.nn.functional as F


class ReverseGrad(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.view_as(x)

    @staticmethod
    def backward(ctx, g):
        return -g


torch.manual_seed(0)
encoder = nn.Sequential(nn.Linear(14, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU())
task = nn.Linear(16, 3)
domain = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 1))
optimizer = torch.optim.Adam([*encoder.parameters(), *task.parameters(), *domain.parameters()], lr=1e-3)

for epoch in range(8):
    src = torch.randn(40, 14)
    tgt = torch.randn(40, 14) + 0.7
    label = src[:, :3].argmax(1)
    z_src, z_tgt = encoder(src), encoder(tgt)
    task_loss = F.cross_entropy(task(z_src), label)
    z = torch.cat([z_src, z_tgt])
    is_target = torch.cat([torch.zeros(40, 1), torch.ones(40, 1)])
    domain_loss = F.binary_cross_entropy_with_logits(domain(z), is_target)
    adv_loss = -domain_loss                        # the encoder should confuse it
    total = task_loss + domain_loss + adv_loss
    optimizer.zero_grad()
    total.backward()
    optimizer.step()
    print(f"epoch {epoch} task {task_loss.item():.4f} domain {domain_loss.item():.4f}")
