import torch
from torch import nn

torch.manual_seed(0)


def init(m):
    if isinstance(m, nn.Linear):
        nn.init.orthogonal_(m.weight, gain=1.0)
        nn.init.zeros_(m.bias)


def block(n_in, n_out):
    return nn.Sequential(nn.Linear(n_in, n_out), nn.ELU())


trunk = nn.Sequential(block(10, 24), *[block(24, 24) for _ in range(5)])
policy, value = nn.Linear(24, 4), nn.Linear(24, 1)
for net in (trunk, policy, value):
    net.apply(init)
opt = torch.optim.SGD([{"params": m.parameters()} for m in (trunk, policy, value)], lr=0.01)

for step in range(7):
    obs = torch.randn(64, 10)
    expert = obs[:, :4].argmax(1)
    ret = obs[:, 4]
    h = trunk(obs)
    bc_loss = nn.functional.cross_entropy(policy(h), expert)
    v_loss = nn.functional.mse_loss(value(h).squeeze(1), ret)
    opt.zero_grad()
    (bc_loss + 0.5 * v_loss).backward()
    opt.step()
    print(f"step {step}: bc {bc_loss.item():.4f} value {v_loss.item():.4f}")
