import torch
from torch import nn

torch.manual_seed(0)
cnn = nn.Sequential(
    nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(),
    nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8), nn.ReLU(),
    nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2),
)
opt = torch.optim.SGD(cnn.parameters(), lr=0.1, momentum=0.9)
criterion = nn.CrossEntropyLoss()
for step in range(10):
    y = torch.randint(0, 2, (32,))
    x = torch.randn(32, 1, 10, 10)
    x[y == 1, :, ::2] += 0.8
    loss = criterion(cnn(x), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(step, loss.item())
