import torch


class SharpnessAware:
    """Wraps any optimizer: climb, take the gradient there, come back, let the inner one step."""

    def __init__(self, inner, rho=0.02):
        self.inner, self.rho = inner, rho
        self.origin = {}

    def parameters(self):
        return [p for g in self.inner.param_groups for p in g["params"] if p.grad is not None]

    def zero_grad(self):
        self.inner.zero_grad(set_to_none=True)

    @torch.no_grad()
    def climb(self):
        ps = self.parameters()
        norm = torch.stack([p.grad.norm() for p in ps]).norm() + 1e-12
        for p in ps:
            self.origin[p] = p.detach().clone()
            p.add_(p.grad, alpha=float(self.rho / norm))

    @torch.no_grad()
    def step(self):
        for p, w in self.origin.items():
            p.copy_(w)
        self.origin.clear()
        self.inner.step()
