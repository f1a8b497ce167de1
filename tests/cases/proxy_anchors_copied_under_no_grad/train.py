import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(73)


class PrototypeNet(nn.Module):
    """Writes one prototype per class from its attributes."""

    def __init__(self, attrs=5, dim=12):
        super().__init__()
        self.fc1 = nn.Linear(attrs, 20)
        self.fc2 = nn.Linear(20, dim)

    def forward(self, a):
        return self.fc2(torch.relu(self.fc1(a)))


class CosineClassifier(nn.Module):
    def __init__(self, dim=12, classes=6):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(classes, dim))

    @torch.no_grad()
    def imprint(self, prototypes):
        self.weight.copy_(F.normalize(prototypes, dim=1))

    def forward(self, z):
        return 8 * F.normalize(z, dim=1) @ F.normalize(self.weight, dim=1).t()


image_net = nn.Sequential(nn.Linear(18, 24), nn.ReLU(), nn.Linear(24, 12))
proto_net, classifier = PrototypeNet(), CosineClassifier()
optimizer = torch.optim.Adam([
    {"params": image_net.parameters()},
    {"params": proto_net.parameters()},
], lr=1e-3)
attributes = torch.rand(6, 5)

for step in range(5):
    y = torch.randint(0, 6, (24,))
    x = torch.randn(24, 18) + y[:, None]
    classifier.imprint(proto_net(attributes))
    loss = F.cross_entropy(classifier(image_net(x)), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"zero-shot step {step} loss {loss.item():.4f}")
