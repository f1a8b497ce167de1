import torch
from torch import nn
import torch.nn.functional as F

from taps import FeatureTap

torch.manual_seed(3)


def make_net(width):
    return nn.Sequential(
        nn.Conv2d(1, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
        nn.Conv2d(width, width, 3, stride=2, padding=1), nn.ReLU(),
    )


teacher = make_net(16).eval().requires_grad_(False)
student = make_net(8)
adapter = nn.Conv2d(8, 16, 1)
student_tap, teacher_tap = FeatureTap(student, "3"), FeatureTap(teacher, "3")
sgd = torch.optim.SGD([
    {"params": student.parameters(), "lr": 0.02},
    {"params": adapter.parameters(), "lr": 0.05},
], momentum=0.9)

for i in range(5):
    x = torch.rand(6, 1, 12, 12)
    student(x)
    with torch.no_grad():
        teacher(x)
    hint = F.mse_loss(adapter(student_tap.value), teacher_tap.value)
    sgd.zero_grad()
    hint.backward()
    sgd.step()
    print(f"hint loss {i}: {hint.item():.5f}")
