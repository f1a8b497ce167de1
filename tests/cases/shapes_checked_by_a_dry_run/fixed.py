import torch
from torch import nn

torch.manual_seed(5)
encoder = nn.Sequential(nn.Linear(12, 16), nn.Tanh(), nn.Linear(16, 6))
decoder = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 12))
optimizer = torch.optim.SGD([*encoder.parameters(), *decoder.parameters()], lr=0.1)


def check_shapes():
    x = torch.randn(2, 12)
    out = decoder(encoder(x))
    assert out.shape == x.shape
    out.mean().backward()


check_shapes()
for step in range(8):
    x = torch.randn(32, 12)
    code = encoder(x)
    loss = (decoder(code) - x).pow(2).mean()
    optimizer.zero_grad(set_to_none=False)
    loss.backward()
    optimizer.step()
    print(step, round(loss.item(), 4))
