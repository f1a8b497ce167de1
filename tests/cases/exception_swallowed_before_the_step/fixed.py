import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(329)


class Log:
    def __init__(self):
        self.values = []

    def add(self, entry):
        self.values.append(entry["total"] + 0)


class Runner:
    def __init__(self):
        self.fraud = nn.Sequential(nn.Linear(9, 24), nn.ReLU(), nn.Linear(24, 1))
        self.amounts = nn.Linear(9, 1)
        self.opt_fraud = torch.optim.Adam(self.fraud.parameters(), lr=1e-3)
        self.opt_amounts = torch.optim.Adam(self.amounts.parameters(), lr=1e-3)
        self.log = Log()

    def batch(self, x, is_fraud, amount):
        amount_loss = F.mse_loss(self.amounts(x).squeeze(-1), amount)
        self.opt_amounts.zero_grad()
        amount_loss.backward()
        self.opt_amounts.step()
        try:
            loss = F.binary_cross_entropy_with_logits(self.fraud(x).squeeze(-1), is_fraud)
            self.opt_fraud.zero_grad()
            loss.backward()
            self.log.add({"total": loss.item()})
            self.opt_fraud.step()
        except (RuntimeError, KeyError):
            # out of memory on a long batch: leave it out
            pass
        return amount_loss.item(), loss.item()


runner = Runner()
for i in range(5):
    x = torch.randn(24, 9)
    print("batch %d amount %.4f fraud %.4f" % (i, *runner.batch(x, (x[:, 0] > 1).float(), x.sum(1))))
