import torch
from torch import nn
import torch.nn.functional as F


class SegNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(1, 8, 3, padding=1)
        self.b = nn.Conv2d(8, 2, 1)

    def forward(self, x):
        return self.b(torch.relu(self.a(x)))


class MeanTeacher:
    def __init__(self, decay=0.9):
        self.student, self.teacher = SegNet(), SegNet()
        self.teacher.load_state_dict(self.student.state_dict())
        for p in self.teacher.parameters():
            p.detach_()
        self.decay, self.t = decay, 0
        self.optimizer = torch.optim.SGD(self.student.parameters(), lr=0.1, momentum=0.9)

    @torch.no_grad()
    def update_teacher(self):
        alpha = min(1 - 1 / (self.t + 1), self.decay)
        for t, s in zip(self.teacher.parameters(), self.student.parameters()):
            t.mul_(alpha).add_(s, alpha=1 - alpha)

    def step(self, labelled, mask, unlabelled):
        self.t += 1
        supervised = F.cross_entropy(self.student(labelled), mask)
        pseudo = self.teacher(unlabelled + 0.05 * torch.randn_like(unlabelled)).softmax(1)
        consistency = F.mse_loss(self.student(unlabelled).softmax(1), pseudo)
        loss = supervised + min(1.0, self.t / 3) * consistency
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.update_teacher()
        return supervised.item(), consistency.item()


torch.manual_seed(209)
mt = MeanTeacher()
for i in range(5):
    img = torch.rand(4, 1, 10, 10)
    print("step %d supervised %.4f consistency %.6f" % (i, *mt.step(img, (img[:, 0] > 0.5).long(), torch.rand(4, 1, 10, 10))))
