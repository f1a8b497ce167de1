from torch import nn


def weights_init(m):
    name = m.__class__.__name__
    if "Conv" in name:
        nn.init.normal_(m.weight.data, 0.0, 0.1)
    elif "BatchNorm" in name:
        nn.init.normal_(m.weight.data, 1.0, 0.02)
        nn.init.zeros_(m.bias.data)


class Generator(nn.Module):
    def __init__(self, ch):
        super().__init__()
        self.main = nn.Sequential(
            nn.ConvTranspose2d(ch, 32, 4, 1, 0), nn.ReLU(True),
            nn.ConvTranspose2d(32, 24, 4, 2, 1), nn.ReLU(True),
            nn.ConvTranspose2d(24, 16, 4, 2, 1), nn.ReLU(True),
            nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(True),
            nn.Conv2d(16, 1, 3, padding=1))

    def forward(self, z):
        return self.main(z)
