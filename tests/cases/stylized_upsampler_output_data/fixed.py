import torch
import torch.nn as nn

torch.manual_seed(2)


class Upsampler(nn.Module):
    def __init__(self, ch=12):
        super().__init__()
        self.head = nn.Conv2d(3, ch, 3, padding=1)
        self.shuffle = nn.Sequential(nn.Conv2d(ch, 12, 3, padding=1), nn.PixelShuffle(2))

    def forward(self, lr_img):
        x = torch.relu(self.head(lr_img))
        return self.shuffle(x)


class Refiner(nn.Module):
    def __init__(self, ch=12):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, ch, 3, padding=1), nn.PReLU(), nn.Conv2d(ch, 3, 3, padding=1))

    def forward(self, img):
        return img + self.body(img)


def to_valid_range(img):
    # keep the picture inside [0, 1] before it goes on
    lo, hi = img.amin(dim=(1, 2, 3), keepdim=True), img.amax(dim=(1, 2, 3), keepdim=True)
    return (img - lo) / (hi - lo + 1e-6)


def run(n_iter=4):
    up, refine = Upsampler(), Refiner()
    optims = [torch.optim.Adam(m.parameters(), lr=1e-3) for m in (up, refine)]
    for it in range(n_iter):
        hr = torch.rand(4, 3, 16, 16)
        lr_img = nn.functional.avg_pool2d(hr, 2)
        sr = refine(to_valid_range(up(lr_img)))
        loss = (sr - hr).abs().mean()
        for o in optims:
            o.zero_grad()
        loss.backward()
        for o in optims:
            o.step()
        print("iter", it, "l1", round(loss.item(), 5))


run()
