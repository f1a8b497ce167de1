import torch


def orthogonalize(G, steps=5):
    a, b, c = 3.4445, -4.7750, 2.0315
    X = G / (G.norm() + 1e-7)
    if G.size(0) > G.size(1):
        X = X.T
    for _ in range(steps):
        A = X @ X.T
        X = a * X + (b * A + c * A @ A) @ X
    return X.T if G.size(0) > G.size(1) else X


def neuron_normalize(U, V, beta2=0.95, eps=1e-8):
    norm_U = U.norm()
    V.lerp_(U.square().mean(dim=1, keepdim=True), 1 - beta2)
    U = U / (V.sqrt() + eps)
    norm_new = U.norm()
    return U * (norm_U / norm_new)


class NorMuon(torch.optim.Optimizer):
    def __init__(self, params, lr=0.02, momentum=0.9, weight_decay=0.0):
        super().__init__(params, dict(lr=lr, momentum=momentum, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state["buf"] = torch.zeros_like(p)
                    state["v"] = p.new_zeros(p.size(0), 1)
                state["buf"].lerp_(p.grad, 1 - group["momentum"])
                U = neuron_normalize(orthogonalize(state["buf"]), state["v"])
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.add_(U, alpha=-group["lr"] * max(1, p.size(0) / p.size(1)) ** 0.5)
