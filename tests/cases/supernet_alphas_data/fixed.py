import torch
from torch import nn
import torch.nn.functional as F

search_space = {
    "lin": lambda d: nn.Linear(d, d),
    "mlp": lambda d: nn.Sequential(nn.Linear(d, d), nn.Tanh()),
    "gate": lambda d: nn.Sequential(nn.Linear(d, 2 * d), nn.GLU()),
}


class Supernet(nn.Module):
    def __init__(self, d_in, d, n_edges, n_out):
        super().__init__()
        self.stem = nn.Linear(d_in, d)
        self.ops = nn.ModuleList(
            nn.ModuleDict({k: make(d) for k, make in search_space.items()}) for _ in range(n_edges))
        self.alphas = nn.ParameterDict(
            {f"edge{i}": nn.Parameter(1e-2 * torch.randn(len(search_space))) for i in range(n_edges)})
        self.out = nn.Linear(d, n_out)

    def mixture(self, i, temperature):
        return F.softmax(self.alphas[f"edge{i}"] / temperature, dim=-1)

    def forward(self, x, temperature=1.0):
        x = self.stem(x)
        for i, choices in enumerate(self.ops):
            w = self.mixture(i, temperature)
            x = x + sum(w[j] * op(x) for j, op in enumerate(choices.values()))
        return self.out(x)

    def weights(self):
        return [p for n, p in self.named_parameters() if not n.startswith("alphas")]


def data(n):
    x = torch.randn(n, 6)
    return x, (x[:, 0] * x[:, 1] > 0).long() + (x[:, 2] > 0).long()


def search(epochs=8):
    net = Supernet(6, 16, n_edges=3, n_out=3)
    w_opt = torch.optim.SGD(net.weights(), lr=0.05, momentum=0.9)
    a_opt = torch.optim.Adam(net.alphas.parameters(), lr=3e-3, betas=(0.5, 0.999))
    for epoch in range(epochs):
        temperature = 1.0 / (1 + epoch)
        for opt, batch in ((a_opt, data(64)), (w_opt, data(64))):
            x, y = batch
            net.zero_grad()
            loss = F.cross_entropy(net(x, temperature), y)
            loss.backward()
            opt.step()
        best = {k: list(search_space)[int(a.argmax())] for k, a in net.alphas.items()}
        print(epoch, round(loss.item(), 4), best)
    return net


torch.manual_seed(2)
supernet = search()
