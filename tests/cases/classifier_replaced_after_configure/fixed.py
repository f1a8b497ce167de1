import torch
from torch import nn
import torch.nn.functional as F


class PlantNet(nn.Module):
    def __init__(self, n_classes=10):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten())
        self.classifier = nn.Linear(32, n_classes)

    def forward(self, x):
        return self.classifier(self.features(x))


class FineTuner:
    def __init__(self, net):
        self.net = net
        self.optimizer = None

    def configure(self, lr):
        self.optimizer = torch.optim.SGD(self.net.parameters(), lr=lr, momentum=0.9)
        return self

    def for_classes(self, n):
        old = self.net.classifier
        self.net.classifier = nn.Linear(old.in_features, n)
        return self

    def fit(self, steps):
        for i in range(steps):
            x = torch.rand(8, 3, 9, 9)
            loss = F.cross_entropy(self.net(x), torch.randint(0, 4, (8,)))
            self.net.zero_grad()
            loss.backward()
            self.optimizer.step()
            print(f"{i + 1}/{steps} loss {loss.item():.4f}")


torch.manual_seed(107)
tuner = FineTuner(PlantNet()).for_classes(4).configure(lr=0.02)
tuner.fit(5)
