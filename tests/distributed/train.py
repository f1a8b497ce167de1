"""A script as a user starts it under torchrun: rank 1 never uses the second head. `hang` and `kill` are faults.

`miss`: it lacks the head at one step only, and the job hangs there. `wait`: both are blocked for good. `late`: it comes
so late to a step that rank 0 does not wait for it any longer. `past`, `apart`: nothing is averaged.
`own`: only the optimizer of rank 1 is wrong.
"""

import contextlib
import datetime
import os
import sys
import time
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.a, self.b = nn.Linear(8, 8), nn.Linear(8, 1), nn.Linear(8, 1)

    def forward(self, x, both):
        hidden = self.body(x).tanh()
        return self.a(hidden) + self.b(hidden) if both else self.a(hidden)


dist.init_process_group("gloo", timeout=datetime.timedelta(seconds=5 if "late" in sys.argv else 1800))
rank = dist.get_rank()
torch.manual_seed(0)
net = Net()
ddp = DistributedDataParallel(net, find_unused_parameters=not {"hang", "miss"} & set(sys.argv))
optimizer = torch.optim.SGD(net.parameters(), lr=0.0 if "own" in sys.argv and rank == 1 else 0.1)
torch.manual_seed(rank)
for step in range(4):
    if "late" in sys.argv and rank == 1 and step == 2:
        time.sleep(90)
    both = rank == 0 or ("miss" in sys.argv and step != 2) or bool({"past", "apart", "own"} & set(sys.argv))
    with ddp.no_sync() if "apart" in sys.argv else contextlib.nullcontext():
        model = net if "past" in sys.argv else ddp
        loss = model(torch.randn(4, 8), both).pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
    optimizer.step()
    if "kill" in sys.argv and rank == 1 and step == 2:
        os.kill(os.getpid(), 9)
    if "wait" in sys.argv and rank == 1 and step == 2:
        Path("waiting").touch()
        dist.recv(torch.zeros(1), 0)
dist.destroy_process_group()
