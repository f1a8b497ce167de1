import torch
from torch import nn

torch.manual_seed(0)


def norm_act(size):
    return nn.Sequential(nn.LayerNorm(size, elementwise_affine=False), nn.SiLU())


class StyleBranch(nn.Module):
    def __init__(self, ch=16):
        super().__init__()
        self.conv1, self.act1 = nn.Conv2d(3, ch, 4, 4), norm_act([4, 4])
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.conv2, self.act2 = nn.Conv2d(ch, ch, 1), norm_act([ch, 1, 1])
        self.to_style = nn.Linear(ch, 4)

    def forward(self, img):
        h = self.pool(self.act1(self.conv1(img)))
        h = self.act2(self.conv2(h))
        return self.to_style(h.flatten(1))


style_enc = StyleBranch()
content_enc = nn.Sequential(nn.Conv2d(3, 8, 4, 4), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 16, 4))
mixer = nn.Linear(8, 2)
opt = torch.optim.Adam([*style_enc.parameters(), *content_enc.parameters(), *mixer.parameters()], lr=1e-3)

for step in range(8):
    img = torch.rand(12, 3, 16, 16) * torch.rand(12, 3, 1, 1)
    target = torch.stack([img[:, 0].mean((1, 2)), img[:, 2].std((1, 2))], 1)
    code = torch.cat([style_enc(img), content_enc(img)], -1)
    loss = nn.functional.smooth_l1_loss(mixer(code), target)
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(step, loss.item())
