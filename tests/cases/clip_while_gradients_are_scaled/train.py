import torch
from torch import nn


class DoubleConv(nn.Sequential):
    def __init__(self, i, o):
        super().__init__(nn.Conv2d(i, o, 3, padding=1), nn.ReLU(), nn.Conv2d(o, o, 3, padding=1), nn.ReLU())


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.inc, self.down, self.up = DoubleConv(1, 8), DoubleConv(8, 16), DoubleConv(24, 8)
        self.outc = nn.Conv2d(8, 1, 1)

    def forward(self, x):
        a = self.inc(x)
        b = self.down(nn.functional.max_pool2d(a, 2))
        b = nn.functional.interpolate(b, scale_factor=2)
        return self.outc(self.up(torch.cat([a, b], 1)))


def train_model(model, steps=6, lr=0.05, gradient_clipping=1.0):
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    grad_scaler = torch.amp.GradScaler("cpu", init_scale=2.0 ** 16)
    criterion = nn.BCEWithLogitsLoss()
    for step in range(steps):
        masks = (torch.rand(4, 1, 4, 4) > 0.5).float().repeat_interleave(4, 2).repeat_interleave(4, 3)
        images = masks + 0.3 * torch.randn_like(masks)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = criterion(model(images), masks)
        optimizer.zero_grad(set_to_none=True)
        grad_scaler.scale(loss).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), gradient_clipping)
        grad_scaler.step(optimizer)
        grad_scaler.update()
        print(step, loss.item())


torch.manual_seed(0)
model = UNet()
train_model(model)
