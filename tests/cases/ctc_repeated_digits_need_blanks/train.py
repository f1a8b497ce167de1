import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(0)


class PlateReader(nn.Module):
    def __init__(self, width=6):
        super().__init__()
        self.columns = nn.Sequential(nn.Conv2d(1, 12, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d((1, width)))
        self.classes = nn.Linear(12, 11)

    def forward(self, img):
        h = self.columns(img).squeeze(2).transpose(1, 2)
        return F.log_softmax(self.classes(h), dim=-1)


reader = PlateReader()
counter = nn.Sequential(nn.Flatten(), nn.Linear(8 * 24, 1))
optimizer = torch.optim.SGD([*reader.parameters(), *counter.parameters()], lr=0.01, momentum=0.9)

for batch in range(6):
    plates = torch.stack([torch.randperm(10)[:6] + 1 for _ in range(8)])
    if batch == 4:
        plates[3] = torch.tensor([2, 2, 1, 1, 5, 3])
    img = torch.rand(8, 1, 8, 24) + plates.repeat_interleave(4, 1)[:, None, None] / 10
    logp = reader(img).transpose(0, 1)
    sizes = torch.full((8,), logp.size(0)), torch.full((8,), 6)
    read_loss = F.ctc_loss(logp, plates, *sizes)
    count_loss = (counter(img) - 0.6).pow(2).mean()
    optimizer.zero_grad()
    (read_loss + count_loss).backward()
    optimizer.step()
    print(batch, read_loss.item(), count_loss.item())
