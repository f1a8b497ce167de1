import argparse

import torch
import torch.nn.functional as F
from model import FactorizationRanker

parser = argparse.ArgumentParser()
parser.add_argument("--users", type=int, default=60)
parser.add_argument("--new-users", type=int, default=20)
parser.add_argument("--items", type=int, default=50)
parser.add_argument("--lr", type=float, default=5e-3)
args = parser.parse_args([])

torch.manual_seed(0)
ranker = FactorizationRanker(args.users, args.items, n_ctx=12)
taste = torch.randn(args.users + args.new_users, 4) @ torch.randn(4, args.items)


def fit(n_users, steps):
    optimizer = torch.optim.Adam(ranker.parameters(), lr=args.lr)
    for step in range(steps):
        u, i = torch.randint(n_users, (128,)), torch.randint(args.items, (128,))
        j = torch.randint(args.items, (128,))
        ctx = torch.randint(12, (128, 3))
        sign = (taste[u, i] - taste[u, j]).sign()
        loss = -F.logsigmoid(sign * (ranker(u, i, ctx) - ranker(u, j, ctx))).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


# the service has grown since the table was laid out
ranker.add_users(args.new_users)
for period in range(3):
    print(f"period {period}: bpr {fit(args.users + args.new_users, 12):.4f}")
