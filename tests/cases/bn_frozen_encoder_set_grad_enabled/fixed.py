import torch
import torch.nn as nn
import torch.nn.functional as F


def conv_bn(cin, cout, stride=1):
    return nn.Sequential(nn.Conv2d(cin, cout, 3, stride, 1, bias=False), nn.BatchNorm2d(cout), nn.ReLU())


class Encoder(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.c1 = conv_bn(1, width, 2)
        self.c2 = conv_bn(width, 2 * width, 2)

    def forward(self, x):
        skip = self.c1(x)
        return skip, self.c2(skip)


class Decoder(nn.Module):
    def __init__(self, width, n_classes):
        super().__init__()
        self.up = nn.ConvTranspose2d(2 * width, width, 2, 2)
        self.mix = nn.Conv2d(2 * width, width, 3, padding=1)
        self.head = nn.ConvTranspose2d(width, n_classes, 2, 2)

    def forward(self, skip, deep):
        x = F.relu(self.up(deep))
        return self.head(F.relu(self.mix(torch.cat([x, skip], 1))))


class UNet(nn.Module):
    def __init__(self, width=8, n_classes=2):
        super().__init__()
        self.encoder = Encoder(width)
        self.decoder = Decoder(width, n_classes)

    def forward(self, x):
        return self.decoder(*self.encoder(x))

    def train(self, mode=True):
        super().train(mode)
        self.encoder.eval()  # small batches: keep the running statistics
        return self


def blobs(n, size=16):
    yy, xx = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    c = torch.randint(4, size - 4, (n, 2))
    mask = ((yy - c[:, :1, None]) ** 2 + (xx - c[:, 1:, None]) ** 2 < 12).long()
    return mask[:, None].float() + 0.3 * torch.randn(n, 1, size, size), mask


def run(net, steps=8):
    optim = torch.optim.AdamW(net.parameters(), lr=2e-3)
    net.train()
    for s in range(steps):
        img, mask = blobs(4)
        loss = F.cross_entropy(net(img), mask)
        optim.zero_grad()
        loss.backward()
        optim.step()
        print("step", s, "loss", round(loss.item(), 4))


if __name__ == "__main__":
    torch.manual_seed(3)
    net = UNet()
    run(net)
