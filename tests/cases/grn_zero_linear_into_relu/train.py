import torch
from torch import nn


class GRN(nn.Module):
    """input dependent weights over the outputs of all previous layers"""

    def __init__(self, dim, num_layers):
        super().__init__()
        self.norm = nn.RMSNorm(dim)
        self.proj = nn.Linear(dim, num_layers, bias=False)
        nn.init.zeros_(self.proj.weight)
        self.bias = nn.Parameter(torch.tensor([0.0] * (num_layers - 1) + [1.0]))

    def forward(self, stack):                       # layers, batch, dim
        w = torch.relu(self.proj(self.norm(stack[-1])))
        w = w + self.bias
        return torch.einsum("bl,lbd->bd", w, stack)


class DeepCross(nn.Module):
    def __init__(self, dim=16, depth=3):
        super().__init__()
        self.layers = nn.ModuleList(nn.Sequential(nn.Linear(dim, dim), nn.GELU()) for _ in range(depth))
        self.grns = nn.ModuleList(GRN(dim, i + 2) for i in range(depth))
        self.readout = nn.Linear(dim, 1)

    def forward(self, x):
        outs = [x]
        for layer, grn in zip(self.layers, self.grns):
            outs.append(layer(outs[-1]))
            outs[-1] = grn(torch.stack(outs))
        return self.readout(outs[-1])


def main():
    torch.manual_seed(0)
    net = DeepCross()
    opt = torch.optim.Adam(net.parameters(), lr=1e-3)
    for step in range(10):
        x = torch.randn(32, 16)
        loss = (net(x) - x[:, :1] * x[:, 1:2]).square().mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        print(step, loss.item())


main()
