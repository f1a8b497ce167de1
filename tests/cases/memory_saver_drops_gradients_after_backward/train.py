import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(323)


class MemorySaver:
    """Frees the gradients of networks that are not stepped next."""

    def __init__(self, **nets):
        self.nets = nets

    def release(self, *names):
        for name in names:
            for p in self.nets[name].parameters():
                p.grad = None


inpaint = nn.Sequential(nn.Linear(24, 32), nn.ReLU(), nn.Linear(32, 16))
edges = nn.Sequential(nn.Linear(16, 24), nn.ReLU(), nn.Linear(24, 8))
judge = nn.Sequential(nn.Linear(16, 24), nn.LeakyReLU(0.2), nn.Linear(24, 1))
saver = MemorySaver(inpaint=inpaint, edges=edges, judge=judge)
opt_gen = torch.optim.Adam([*inpaint.parameters(), *edges.parameters()], lr=1e-3)
opt_judge = torch.optim.Adam(judge.parameters(), lr=1e-3)

for step in range(5):
    image = torch.rand(16, 16)
    sketch = edges(image)
    out = inpaint(torch.cat([image * (torch.rand_like(image) > 0.3), sketch], 1))

    loss_j = F.softplus(-judge(image)).mean() + F.softplus(judge(out.detach())).mean()
    saver.release("judge")
    loss_j.backward()
    opt_judge.step()

    loss_g = F.l1_loss(out, image) + 0.05 * F.softplus(-judge(out)).mean()
    saver.release("inpaint", "edges")
    loss_g.backward()
    saver.release("judge", "edges")
    opt_gen.step()
    print(f"step {step} judge {loss_j.item():.4f} generator {loss_g.item():.4f}")
