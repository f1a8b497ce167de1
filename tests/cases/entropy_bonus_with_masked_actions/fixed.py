import torch
from torch import nn


def entropy_from_logits(logits):
    logp = logits.log_softmax(-1)
    p = logp.exp()
    return -(p * logp.masked_fill(p == 0, 0.0)).sum(-1)


class Agent:
    def __init__(self, config):
        self.config = config
        self.policy = nn.Sequential(nn.Linear(9, 40), nn.Tanh(), nn.Linear(40, 9))
        self.value = nn.Sequential(nn.Linear(9, 40), nn.Tanh(), nn.Linear(40, 1))
        self.opt_pi = torch.optim.Adam(self.policy.parameters(), config["lr"])
        self.opt_v = torch.optim.Adam(self.value.parameters(), config["lr"])

    def update(self, board, legal, action, ret):
        logits = self.policy(board).masked_fill(~legal, float("-inf"))
        logp = logits.log_softmax(-1).gather(1, action[:, None]).squeeze(1)
        v = self.value(board).squeeze(1)
        adv = (ret - v).detach()
        pi_loss = -(adv * logp).mean() - self.config["entropy"] * entropy_from_logits(logits).mean()
        v_loss = (ret - v).square().mean()
        for opt, loss in ((self.opt_pi, pi_loss), (self.opt_v, v_loss)):
            opt.zero_grad()
            loss.backward()
            opt.step()
        return pi_loss.item(), v_loss.item()


def tictactoe(n):
    board = torch.randint(-1, 2, (n, 9)).float()
    board[torch.arange(n), torch.randint(0, 9, (n,))] = 0          # at least one legal move
    legal = board == 0
    action = torch.multinomial(legal.float(), 1).squeeze(1)
    return board, legal, action, board.sum(1).sign()


torch.manual_seed(0)
agent = Agent({"lr": 1e-3, "entropy": 0.01})
for it in range(5):
    print(it, agent.update(*tictactoe(32)))
