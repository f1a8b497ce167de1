import torch
from torch import nn

torch.manual_seed(0)


class DenseHead(nn.Module):
    def __init__(self, dim, out, std):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(dim, 48), nn.Linear(48, out)
        nn.init.normal_(self.fc2.weight, std=std)
        nn.init.zeros_(self.fc2.bias)

    def forward(self, x):
        return self.fc2(torch.tanh(self.fc1(x)))


backbone = DenseHead(8, 16, std=0.2).half()
residual_flow = DenseHead(16, 128, std=1e-4).half()
depth = nn.Linear(8, 1)                                      # small metric head, full precision
opt = torch.optim.SGD([*backbone.parameters(), *residual_flow.parameters()], lr=1.0)
depth_opt = torch.optim.SGD(depth.parameters(), lr=1e-2)

for step in range(6):
    x = torch.randn(2048, 8)
    flow = 1e-3 * torch.tanh(x[:, :1] + torch.linspace(0.5, 1, 128))         # what the coarse stage left over
    pred = residual_flow(backbone(x.half())).float()
    loss = nn.functional.mse_loss(pred, flow)
    opt.zero_grad()
    loss.backward()
    opt.step()

    d_loss = (depth(x) - 4 * x[:, 3:4].abs()).pow(2).mean()
    depth_opt.zero_grad()
    d_loss.backward()
    depth_opt.step()
    print(step, loss.item(), d_loss.item())
