import torch
from torch import nn
from torch.nn import functional as F


class Codec(nn.Module):
    def __init__(self, latent=6):
        super().__init__()
        self.analysis = nn.Sequential(
            nn.Conv2d(1, 12, 5, stride=2, padding=2), nn.GELU(),
            nn.Conv2d(12, latent, 5, stride=2, padding=2),
        )
        self.synthesis = nn.Sequential(
            nn.ConvTranspose2d(latent, 12, 4, stride=2, padding=1), nn.GELU(),
            nn.ConvTranspose2d(12, 1, 4, stride=2, padding=1),
        )
        self.step_size = 0.25

    def quantize(self, y):
        symbols = y / self.step_size
        symbols = symbols + torch.rand_like(symbols) - 0.5 if self.training else torch.round(symbols)
        return symbols * self.step_size

    def forward(self, x):
        y_hat = self.quantize(self.analysis(x))
        return self.synthesis(y_hat), y_hat


class Meter:
    def __init__(self):
        self.total, self.count = 0.0, 0

    def update(self, value, n):
        self.total, self.count = self.total + value * n, self.count + n

    @property
    def mean(self):
        return self.total / max(self.count, 1)


def blobs(n, size=16):
    axis = torch.linspace(-1, 1, size)
    cx, cy = torch.rand(2, n, 1, 1) - 0.5
    return torch.exp(-((axis.view(1, 1, -1) - cx) ** 2 + (axis.view(1, -1, 1) - cy) ** 2) * 6).unsqueeze(1)


def run_epoch(codec, optimizer, n_batches):
    psnr, mse = Meter(), Meter()
    for _ in range(n_batches):
        x = blobs(20)
        x_hat, _ = codec(x)
        distortion = F.mse_loss(x_hat, x)
        optimizer.zero_grad()
        distortion.backward()
        nn.utils.clip_grad_norm_(codec.parameters(), 1.0)
        optimizer.step()
        mse.update(distortion.item(), len(x))
        psnr.update(-10 * distortion.log10().item(), len(x))
    return mse.mean, psnr.mean


if __name__ == "__main__":
    torch.manual_seed(0)
    codec = Codec()
    optimizer = torch.optim.Adam(codec.parameters(), lr=2e-3)
    for epoch in range(3):
        mse, psnr = run_epoch(codec, optimizer, 3)
        print(f"epoch {epoch} mse {mse:.4f} psnr {psnr:.2f}")
