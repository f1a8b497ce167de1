import torch


def weights_from_density(sigma, edges):
    delta = edges[:, 1:] - edges[:, :-1]
    tau = sigma * delta
    trans = torch.exp(-torch.cumsum(tau, 1) + tau)
    return trans * (1 - torch.exp(-tau))


@torch.no_grad()
def resample(edges, weights, n):
    pdf = (weights + 0.01) / (weights + 0.01).sum(1, keepdim=True)
    cdf = torch.cat([torch.zeros(len(pdf), 1), pdf.cumsum(1)], 1).clamp(max=1.0)
    u = torch.linspace(0, 1 - 1e-4, n + 1).expand(len(pdf), n + 1).contiguous()
    hi = torch.searchsorted(cdf, u, right=True).clamp(1, cdf.shape[1] - 1)
    c0, c1 = cdf.gather(1, hi - 1), cdf.gather(1, hi)
    e0, e1 = edges.gather(1, hi - 1), edges.gather(1, hi)
    return e0 + (u - c0) / (c1 - c0).clamp(min=1e-6) * (e1 - e0)


def points(origins, dirs, edges):
    mid = (edges[:, 1:] + edges[:, :-1]) / 2
    return origins[:, None] + mid[..., None] * dirs[:, None]


class PropEstimator:
    def __init__(self, near=0.0, far=2.0):
        self.near, self.far = near, far
        self.cache = []

    def sample(self, origins, dirs, density_fns, counts, final):
        edges = torch.linspace(self.near, self.far, counts[0] + 1).expand(len(origins), -1).contiguous()
        self.cache.clear()
        for fn, n in zip(density_fns, [*counts[1:], final]):
            w = weights_from_density(fn(points(origins, dirs, edges)), edges)
            self.cache.append((edges, w))
            edges = resample(edges, w.detach(), n)
        return edges

    def loss(self, edges, weights):
        mid = (edges[:, 1:] + edges[:, :-1]) / 2
        total = 0.0
        for prop_edges, prop_w in self.cache:
            idx = (torch.searchsorted(prop_edges, mid, right=True) - 1).clamp(0, prop_w.shape[1] - 1)
            hist = torch.zeros_like(prop_w).scatter_add(1, idx, weights.detach())
            total = total + (hist - prop_w).pow(2).mean()
        return total
