import torch
from torch import nn


class Callback:
    def batch_begin(self, state): ...
    def batch_end(self, state): ...


class OptimizerCallback(Callback):
    def __init__(self, *optimizers):
        self.optimizers = optimizers

    def batch_begin(self, state):
        for o in self.optimizers:
            o.zero_grad()

    def batch_end(self, state):
        for o in self.optimizers:
            o.step()


class Printer(Callback):
    def batch_end(self, state):
        print(f"batch {state['i']} loss {state['loss']:.4f}")


def loop(compute_loss, batches, callbacks):
    state = {}
    for state["i"] in range(batches):
        for c in callbacks:
            c.batch_begin(state)
        loss = compute_loss()
        loss.backward()
        state["loss"] = loss.item()
        for c in callbacks:
            c.batch_end(state)


torch.manual_seed(147)
sensor_net = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 4))
fault_head = nn.Linear(4, 2)


def compute_loss():
    x = torch.randn(20, 6)
    return nn.functional.cross_entropy(fault_head(sensor_net(x)), (x[:, 0] > x[:, 1]).long())


loop(compute_loss, 5, [
    OptimizerCallback(torch.optim.Adam(sensor_net.parameters(), lr=1e-3), torch.optim.Adam(fault_head.parameters(), lr=1e-3)),
    Printer(),
])
