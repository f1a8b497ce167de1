import torch
import torch.nn as nn
import torch.nn.functional as F


class GatedLinear(nn.Module):
    def __init__(self, n_in, n_out, gate):
        super().__init__()
        self.lin = nn.Linear(n_in, n_out)
        self.gate = [gate]

    def forward(self, x, beta):
        keep = torch.sigmoid(beta * self.gate[0])
        return self.lin(x) * keep


class Student(nn.Module):
    def __init__(self, sizes):
        super().__init__()
        self.gates = nn.ParameterList(
            nn.Parameter(torch.empty(n).uniform_(0.3, 0.9) * (torch.randint(5, (n,)).clamp(max=1) * 2 - 1)) for n in sizes[1:-1])
        self.hidden = nn.ModuleList(
            GatedLinear(a, b, g) for a, b, g in zip(sizes[:-2], sizes[1:-1], self.gates))
        self.out = nn.Linear(sizes[-2], sizes[-1])

    def forward(self, x, beta):
        for layer in self.hidden:
            x = F.relu(layer(x, beta))
        return self.out(x)


def beta_schedule(step, total, final=500.0):
    return 1.0 + (8.0 - 1.0) * step / total


def distill(student, teacher, total=10, temperature=2.0):
    opt = torch.optim.SGD([
        {"params": student.gates.parameters(), "lr": 0.5},
        {"params": [p for n, p in student.named_parameters() if not n.startswith("gates")], "lr": 0.1},
    ])
    for step in range(total):
        x = torch.randn(64, 10)
        beta = beta_schedule(step, total)
        with torch.no_grad():
            soft = F.softmax(teacher(x) / temperature, dim=-1)
        loss = F.kl_div(F.log_softmax(student(x, beta) / temperature, -1), soft, reduction="batchmean")
        opt.zero_grad()
        loss.backward()
        opt.step()
        kept = sum((g > 0).sum().item() for g in student.gates)
        print(f"step {step} kd {loss.item():.4f} units kept {kept}")


torch.manual_seed(31)
teacher = nn.Sequential(nn.Linear(10, 64), nn.Tanh(), nn.Linear(64, 5)).requires_grad_(False)
student = Student([10, 32, 32, 5])
distill(student, teacher)
