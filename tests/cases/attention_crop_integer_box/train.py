import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(23)
IN_SIZE = 24


class ConvNet(nn.Module):
    def __init__(self, classes=5):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.fc = nn.Linear(8 * 16, classes)

    def features(self, x):
        return F.adaptive_avg_pool2d(F.leaky_relu(self.conv(x)), 4).flatten(1)

    def forward(self, x):
        feat = self.features(x)
        return self.fc(feat), feat


class APN(nn.Module):
    """Attention proposal network: centre and half side of the box, in [0, 1]."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(8 * 16, 16), nn.Tanh(), nn.Linear(16, 3), nn.Sigmoid())

    def forward(self, feat):
        return self.net(feat)


def attention_crop(images, locs):
    crops = []
    for img, (tx, ty, tl) in zip(images, locs * IN_SIZE):
        tl = (tl / 2).clamp(IN_SIZE / 6, IN_SIZE / 3)
        tx = torch.maximum(torch.minimum(tx, IN_SIZE - tl), tl)
        ty = torch.maximum(torch.minimum(ty, IN_SIZE - tl), tl)
        w_off, w_end = (tx - tl).long(), (tx + tl).long()
        h_off, h_end = (ty - tl).long(), (ty + tl).long()
        patch = img[:, h_off:h_end, w_off:w_end].unsqueeze(0)
        crops.append(F.interpolate(patch, size=(IN_SIZE, IN_SIZE), mode="bilinear", align_corners=False))
    return torch.cat(crops)


class RACNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.b1, self.b2 = ConvNet(), ConvNet()
        self.apn = APN()

    def forward(self, x):
        logits1, feat = self.b1(x)
        logits2, _ = self.b2(attention_crop(x, self.apn(feat)))
        return logits1, logits2


def rank_loss(logits1, logits2, target, margin=0.05):
    p1 = logits1.softmax(-1).gather(1, target[:, None])
    p2 = logits2.softmax(-1).gather(1, target[:, None])
    return (p1 - p2 + margin).clamp(min=0).mean()


net = RACNN()
opt = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9)
for it in range(4):
    images, labels = torch.rand(8, 3, IN_SIZE, IN_SIZE), torch.randint(0, 5, (8,))
    out1, out2 = net(images)
    loss = F.cross_entropy(out1, labels) + F.cross_entropy(out2, labels) + rank_loss(out1, out2, labels)
    opt.zero_grad()
    loss.backward()
    opt.step()
    print("iter", it, "loss", round(loss.item(), 4))
