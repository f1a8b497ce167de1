import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(171)

encoder = nn.Sequential(nn.Linear(14, 24), nn.ReLU(), nn.Linear(24, 10))
classifier = nn.Linear(10, 4)
optimizer = torch.optim.SGD(
    [*encoder.parameters(), *classifier.parameters()], lr=0.05, momentum=0.9, weight_decay=1e-3)
FREEZE_AFTER = 3

for step in range(8):
    if step == FREEZE_AFTER:
        encoder.requires_grad_(False)     # from here on only the classifier
        print("encoder frozen")
    x = torch.randn(30, 14)
    loss = F.cross_entropy(classifier(encoder(x)), x[:, :4].argmax(1))
    optimizer.zero_grad(set_to_none=False)
    loss.backward()
    optimizer.step()
    print(f"step {step} loss {loss.item():.4f} encoder weight {encoder[0].weight.norm().item():.5f}")
