import torch
from torch import nn

torch.manual_seed(251)
x = torch.linspace(-1, 1, 30).unsqueeze(1)
y = torch.exp(-3 * x ** 2) + 0.02 * torch.randn_like(x)


class RBF(nn.Module):
    def __init__(self, k=5):
        super().__init__()
        self.center = nn.Parameter(torch.linspace(-1, 1, k))
        self.log_width = nn.Parameter(torch.zeros(k))
        self.weight = nn.Linear(k, 1)

    def forward(self, x):
        return self.weight(torch.exp(-((x - self.center) * self.log_width.exp()) ** 2))


rbf = RBF()
lbfgs = torch.optim.LBFGS(rbf.parameters(), lr=0.5, max_iter=4, line_search_fn="strong_wolfe")
evaluations = 0


def closure():
    global evaluations
    evaluations += 1
    lbfgs.zero_grad()
    loss = (rbf(x) - y).pow(2).mean() + 1e-4 * rbf.weight.weight.pow(2).sum()
    loss.backward()
    return loss


for outer in range(4):
    loss = lbfgs.step(closure)
    print(f"outer {outer} loss {loss.item():.5f} evaluations {evaluations}")
