import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(219)


def text_cnn(width):
    return nn.Sequential(nn.Embedding(40, width), nn.Flatten(), nn.Linear(6 * width, 4))


class Distiller:
    def __init__(self, teacher, student, T=3.0):
        self.teacher, self.student, self.T = teacher.eval(), student, T
        self.opt = torch.optim.Adam(student.parameters(), lr=5e-3)

    def soft_targets(self, ids):
        with torch.no_grad():
            return (self.teacher(ids) / self.T).softmax(-1)

    def step(self, ids, y):
        logits = self.student(ids)
        kd = F.kl_div((logits / self.T).log_softmax(-1), self.soft_targets(ids), reduction="batchmean") * self.T ** 2
        loss = 0.7 * kd + 0.3 * F.cross_entropy(logits, y)
        self.opt.zero_grad()
        loss.backward()
        self.opt.step()
        agree = (logits.argmax(-1) == self.teacher(ids).argmax(-1)).float().mean().item()
        return loss.item(), agree


distiller = Distiller(text_cnn(24), text_cnn(6))
for i in range(6):
    ids = torch.randint(0, 40, (32, 6))
    print("step %d loss %.4f agreement %.2f" % (i, *distiller.step(ids, ids[:, 0] % 4)))
