import torch
import torch.nn as nn
from losses import CharbonnierLoss, EdgeLoss

torch.manual_seed(7)


class Unfolding(nn.Module):
    """Three gradient-descent stages, each followed by a small denoiser."""

    def __init__(self, n=3):
        super().__init__()
        self.gamma = nn.Parameter(torch.full((n,), 0.5))
        self.stages = nn.ModuleList(nn.Sequential(nn.Conv2d(3, 12, 3, padding=1), nn.GELU(),
                                                  nn.Conv2d(12, 3, 3, padding=1)) for _ in range(n))

    def forward(self, blurred):
        x, outs = blurred, []
        for g, stage in zip(self.gamma, self.stages):
            x = x - g * (nn.functional.avg_pool2d(x, 3, 1, 1) - blurred)
            x = x + stage(x)
            outs.append(x)
        return outs[::-1]


restorer = Unfolding()
optimizer = torch.optim.AdamW(restorer.parameters(), lr=2e-4)
criterion_char, criterion_edge = CharbonnierLoss(), EdgeLoss()
for i in range(5):
    target = torch.rand(2, 3, 14, 14)
    restored = restorer(nn.functional.avg_pool2d(target, 3, 1, 1))
    loss_char = sum(criterion_char(r, target) for r in restored)
    loss_edge = sum(criterion_edge(r, target) for r in restored)
    loss = loss_char + 0.05 * loss_edge
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    psnr = -10 * torch.log10((restored[0].detach() - target).pow(2).mean())
    print(f"iter {i} loss {loss.item():.4f} psnr {psnr:.2f}")
