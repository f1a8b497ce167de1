import torch
from torch import nn

torch.manual_seed(123)
BASE_LR, BATCH = 0.1, 64


def scaled_lr(base, batch):
    # linear scaling rule: lr = base * batch / 256
    return base * batch / 256


class Matcher(nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Linear(12, 16), nn.Linear(8, 16)
        self.score = nn.Bilinear(16, 16, 1)

    def forward(self, a, b):
        return self.score(torch.tanh(self.left(a)), torch.tanh(self.right(b))).squeeze(-1)


matcher = Matcher()
optimizer = torch.optim.SGD(matcher.parameters(), lr=scaled_lr(BASE_LR, BATCH), momentum=0.9)
for i in range(5):
    a, b = torch.randn(BATCH, 12), torch.randn(BATCH, 8)
    loss = nn.functional.binary_cross_entropy_with_logits(matcher(a, b), (a[:, 0] * b[:, 0] > 0).float())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print("batch", i, "bce", round(loss.item(), 5))
