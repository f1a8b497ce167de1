import torch
from torch import nn

torch.manual_seed(0)
policy = nn.Sequential(nn.Linear(9, 32), nn.ReLU(), nn.Linear(32, 9))
critic = nn.Sequential(nn.Linear(9, 32), nn.ReLU(), nn.Linear(32, 1))
policy_opt = torch.optim.Adam(policy.parameters(), lr=3e-4)
critic_opt = torch.optim.Adam(critic.parameters(), lr=1e-3)


def act(board):
    legal = board == 0
    logits = policy(board).masked_fill(~legal, float("-inf"))
    probs = logits.softmax(-1)
    move = torch.multinomial(legal.float(), 1).squeeze(1)          # random opening moves
    return probs, move


def entropy(probs):
    return -(probs * torch.log(probs)).sum(-1)


for update in range(6):
    board = torch.randint(-1, 2, (48, 9)).float()
    board[:, 4] = 0
    reward = 1.0 - board[:, 0]
    probs, move = act(board)
    value = critic(board).squeeze(1)
    logp = probs.gather(1, move[:, None]).squeeze(1).log()
    pg_loss = -(logp * (reward - value.detach())).mean() - 0.01 * entropy(probs).mean()
    policy_opt.zero_grad()
    pg_loss.backward()
    policy_opt.step()
    value_loss = (value - reward).pow(2).mean()
    critic_opt.zero_grad()
    value_loss.backward()
    critic_opt.step()
    print(f"update {update} pg {pg_loss.item():.4f} value {value_loss.item():.4f}")
