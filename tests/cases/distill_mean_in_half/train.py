import copy

import torch
from torch import nn
from torch.nn import functional as F

CFG = dict(vocab=1600, width=32, batch=12, seq=32, temperature=2.0, lr=0.5)


class TinyLM(nn.Module):
    def __init__(self, vocab, width, hidden):
        super().__init__()
        self.embed = nn.Embedding(vocab, width)
        self.mix = nn.Sequential(nn.Linear(width, hidden), nn.Tanh(), nn.Linear(hidden, width))
        self.unembed = nn.Linear(width, vocab)

    def forward(self, tokens):
        h = self.embed(tokens)
        return self.unembed(h + self.mix(h))


def distill(student_logits, teacher_logits, temperature):
    log_q = F.log_softmax(student_logits.float() / temperature, dim=-1)
    p = F.softmax(teacher_logits / temperature, dim=-1)
    return F.kl_div(log_q, p, reduction="mean") * temperature ** 2


def make_pair(cfg):
    teacher = TinyLM(cfg["vocab"], cfg["width"], 64)
    student = TinyLM(cfg["vocab"], cfg["width"], 16)
    student.embed.weight.data.copy_(teacher.embed.weight.data * 0.5)
    return student, teacher.requires_grad_(False).eval()


torch.manual_seed(11)
student, teacher = make_pair(CFG)
before = copy.deepcopy(student.state_dict())
student = student.half()
sgd = torch.optim.SGD(student.parameters(), lr=CFG["lr"])
for step in range(6):
    tokens = torch.randint(CFG["vocab"], (CFG["batch"], CFG["seq"]))
    with torch.no_grad():
        target = teacher(tokens)
    loss = distill(student(tokens), target, CFG["temperature"])
    sgd.zero_grad()
    loss.backward()
    sgd.step()
    print(f"step {step}: kl {loss.item():.3e}")
moved = max((student.state_dict()[k].float() - v).abs().max().item() for k, v in before.items())
print("largest weight change", moved > 1e-2)
