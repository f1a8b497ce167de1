import contextlib

import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(6)


@contextlib.contextmanager
def deterministic(module):
    """Dropout off while the memory is written."""
    was_training = module.training
    module.eval()
    try:
        yield module
    finally:
        module.train(was_training)


class MemoryWriter(nn.Module):
    def __init__(self, d=16):
        super().__init__()
        self.inp = nn.Linear(10, d)
        self.drop = nn.Dropout(0.2)
        self.out = nn.Linear(d, d)

    def forward(self, x):
        return self.out(self.drop(torch.relu(self.inp(x))))


class MemoryReader(nn.Module):
    def __init__(self, d=16):
        super().__init__()
        self.q = nn.Linear(10, d)
        self.answer = nn.Linear(d, 3)

    def forward(self, x, memory):
        att = torch.softmax(self.q(x) @ memory.t() / 4, dim=-1)
        return self.answer(att @ memory)


writer, reader = MemoryWriter(), MemoryReader()
optimizers = [torch.optim.Adam(writer.parameters(), lr=2e-3), torch.optim.Adam(reader.parameters(), lr=2e-3)]


def episode(facts, questions, answers):
    with deterministic(writer):
        memory = writer(facts)
    return F.cross_entropy(reader(questions, memory), answers)


for ep in range(5):
    facts = torch.randn(12, 10)
    questions = facts + 0.1 * torch.randn(12, 10)
    loss = episode(facts, questions, torch.randint(0, 3, (12,)))
    [o.zero_grad() for o in optimizers]
    loss.backward()
    [o.step() for o in optimizers]
    print(f"episode {ep}: {loss.item():.4f}")
