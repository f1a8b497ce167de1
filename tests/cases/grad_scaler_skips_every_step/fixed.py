import torch
from torch import nn

torch.manual_seed(37)


class HalfConv3d(nn.Conv3d):
    """fp32 master weights, half precision activations (what autocast does)."""

    def forward(self, x):
        w, b = self.weight.half(), self.bias.half()
        return nn.functional.conv3d(x.half(), w, b, padding=self.padding)


unet = nn.Sequential(HalfConv3d(1, 6, 3, padding=1), nn.ReLU(), HalfConv3d(6, 6, 3, padding=1), nn.ReLU())
head = HalfConv3d(6, 1, 1)
params = [*unet.parameters(), *head.parameters()]
optimizer = torch.optim.AdamW(params, lr=1e-3)
scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)


def masked_voxel_loss(pred, volume, mask):
    err = (pred.float() - volume).pow(2) * mask
    return err.sum() / mask.sum() / 1e3


for step in range(6):
    volume = torch.rand(2, 1, 8, 8, 8) * 100  # intensities, not normalised
    mask = (torch.rand_like(volume) < 0.6).float()
    pred = head(unet(volume * (1 - mask) / 100))
    loss = masked_voxel_loss(pred, volume, mask)
    optimizer.zero_grad()
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    print(f"step {step} loss {loss.item():.1f} scale {scaler.get_scale():.0f}")
