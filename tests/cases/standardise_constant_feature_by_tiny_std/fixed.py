import torch
from torch import nn

torch.manual_seed(0)


class Spectral(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(24, 10)
        nn.init.normal_(self.lin.weight, std=0.1)

    def forward(self, x):
        z = self.lin(x)
        return (z - z.mean(0)) / (z.std(0) + 1e-2)


spectral = Spectral()
classifier = nn.Sequential(nn.GELU(), nn.Linear(10, 3))
optimizer = torch.optim.Adam([*spectral.parameters(), *classifier.parameters()], lr=1e-7)

for batch in range(6):
    spectrum = torch.rand(64, 24)
    y = spectrum[:, :3].argmax(1)
    loss = nn.functional.cross_entropy(classifier(spectral(spectrum)), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print("batch", batch, "loss", loss.item())
