import torch
from torch import nn
from pruning import speedup


class Mlp(nn.Module):
    def __init__(self, n_in=20, hidden=32, classes=4):
        super().__init__()
        self.features = nn.Sequential(nn.Linear(n_in, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU())
        self.classifier = nn.Linear(hidden, classes)

    def forward(self, x):
        return self.classifier(self.features(x))


def finetune(model, optimizer, data, epochs):
    criterion = nn.CrossEntropyLoss()
    for epoch in range(epochs):
        for x, y in data:
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
        print("finetune epoch", epoch, "loss", round(loss.item(), 5))


torch.manual_seed(15)
model = Mlp()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
data = [(x := torch.randn(32, 20), x[:, :4].argmax(1)) for _ in range(3)]
model = speedup(model)
print("units left:", model.features[0].out_features, model.features[2].out_features)
finetune(model, optimizer, data, epochs=3)
