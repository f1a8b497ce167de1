import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(10)


class SAM(torch.optim.Optimizer):
    def __init__(self, params, base_optimizer, rho=0.05, **kwargs):
        super().__init__(params, dict(rho=rho, **kwargs))
        self.base_optimizer = base_optimizer(self.param_groups, **kwargs)
        self.param_groups = self.base_optimizer.param_groups

    @torch.no_grad()
    def first_step(self, zero_grad=False):
        grad_norm = self._grad_norm()
        for group in self.param_groups:
            scale = group["rho"] / (grad_norm + 1e-12)
            for p in group["params"]:
                if p.grad is None:
                    continue
                self.state[p]["old_p"] = p.data.clone()
                p.add_(p.grad * scale.to(p))
        if zero_grad:
            self.zero_grad()

    @torch.no_grad()
    def second_step(self, zero_grad=False):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                p.data = self.state[p]["old_p"]
        self.base_optimizer.step()
        if zero_grad:
            self.zero_grad()

    def _grad_norm(self):
        return torch.norm(torch.stack([p.grad.norm() for g in self.param_groups for p in g["params"] if p.grad is not None]))


class MultiTask(nn.Module):
    def __init__(self, num_tasks=2):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 8, 3, stride=2), nn.GELU(), nn.Flatten())
        self.tasks = nn.ModuleList(nn.Linear(8 * 36, 3) for _ in range(num_tasks))

    def forward(self, x):
        h = self.stem(x)
        return [t(h) for t in self.tasks]


def total_loss(outputs, targets):
    return sum(F.cross_entropy(o, t, label_smoothing=0.1) for o, t in zip(outputs, targets))


model = MultiTask()
optimizer = SAM(model.parameters(), torch.optim.SGD, rho=0.05, lr=0.02, momentum=0.9)
for step in range(5):
    image = torch.rand(12, 1, 13, 13)
    target = [torch.randint(0, 3, (12,)), torch.randint(0, 3, (12,))]
    loss = total_loss(model(image), target)
    loss.backward()
    optimizer.first_step(zero_grad=True)
    total_loss(model(image), target).backward()
    optimizer.second_step(zero_grad=True)
    print(f"step {step} loss {loss.item():.4f}")
