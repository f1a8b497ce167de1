import torch
from torch import nn

torch.manual_seed(0)
rate_net = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 1))
user_bias = nn.Embedding(20, 1)
nn.init.zeros_(user_bias.weight)
optimizer = torch.optim.Adam([*rate_net.parameters(), *user_bias.parameters()], lr=1e-3)


def poisson_nll(log_rate, count):
    return (torch.exp(log_rate) - count * log_rate).mean()


for step in range(7):
    followers = torch.rand(64, 1) * 3.0              # thousands
    if step >= 3:
        followers[11] = 48_000.0                     # a celebrity joined
    posts = torch.cat([followers, torch.rand(64, 3)], dim=1)
    user = torch.randint(0, 20, (64,))
    likes = torch.poisson(2 * torch.log1p(followers).squeeze(1))
    log_rate = rate_net(posts).squeeze(1) + user_bias(user).squeeze(1)
    loss = poisson_nll(log_rate, likes)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"step {step} nll {loss.item():.4f}")
