import argparse
import torch
from torch import nn
import torch.nn.functional as F


class MemoryAwareModule(nn.Module):
    """Base class: saves activations only when they are going to be needed."""

    def __call__(self, *inputs):
        with torch.set_grad_enabled(self.training):
            return super().__call__(*inputs)


class FusedConvBlock(MemoryAwareModule):
    def __init__(self, c_in, c_out):
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, 3, stride=2, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(c_out)

    def forward(self, x):
        return F.silu(self.bn(self.conv(x)))


class Detector(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.backbone = nn.Sequential(FusedConvBlock(3, width), FusedConvBlock(width, 2 * width))
        self.neck = nn.Sequential(nn.Conv2d(2 * width, width, 1), nn.SiLU())
        self.head = nn.Conv2d(width, 5, 1)

    def forward(self, images):
        return self.head(self.neck(self.backbone(images)))


def set_mode(det, freeze_bn_stats):
    det.train()
    if freeze_bn_stats:
        det.backbone.eval()


def make_batch(n):
    images = torch.rand(n, 3, 16, 16)
    centre = torch.randint(2, 14, (n, 2))
    for i, (y, x) in enumerate(centre.tolist()):
        images[i, :, y - 2:y + 2, x - 2:x + 2] += 1.0
    target = torch.zeros(n, 5, 4, 4)
    for i, (y, x) in enumerate(centre.tolist()):
        target[i, 0, y // 4, x // 4] = 1.0
        target[i, 1:3, y // 4, x // 4] = torch.tensor([y % 4, x % 4]) / 4
    return images, target


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--iters", type=int, default=5)
    parser.add_argument("--width", type=int, default=12)
    parser.add_argument("--train-bn", action="store_true")
    args = parser.parse_args()
    torch.manual_seed(0)

    det = Detector(args.width)
    optimizer = torch.optim.AdamW([
        {"params": det.backbone.parameters(), "lr": 5e-4},
        {"params": [*det.neck.parameters(), *det.head.parameters()], "lr": 2e-3},
    ])
    for it in range(args.iters):
        set_mode(det, freeze_bn_stats=not args.train_bn)
        images, target = make_batch(8)
        out = det(images)
        objectness = F.binary_cross_entropy_with_logits(out[:, 0], target[:, 0])
        offset = F.smooth_l1_loss(out[:, 1:], target[:, 1:])
        optimizer.zero_grad(set_to_none=True)
        (objectness + offset).backward()
        optimizer.step()
        print(f"[{it}] obj {objectness.item():.4f} off {offset.item():.4f}")


if __name__ == "__main__":
    main()
