import torch
from torch import nn
import torch.nn.functional as F


class CRNN(nn.Module):
    def __init__(self, classes=11):
        super().__init__()
        self.cnn = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d((3, 8)))
        self.rnn = nn.GRU(32, 24, bidirectional=True)
        self.fc = nn.Linear(48, classes)

    def forward(self, img):
        f = self.cnn(img)                                     # batch, 16, 2, width / 16
        f = f.permute(3, 0, 1, 2).flatten(2)
        return self.fc(self.rnn(f)[0]).log_softmax(-1)


def captcha(n, digits=4, width=96):
    label = torch.randint(1, 11, (n, digits))
    label[0] = torch.tensor([7, 7, 7, 7])
    img = torch.rand(n, 1, 12, width) * 0.1
    for k in range(digits):
        img[:, 0, :, k * 24:(k + 1) * 24] += label[:, k].view(-1, 1, 1) / 10
    return img, label


def main():
    torch.manual_seed(0)
    crnn, style = CRNN(), nn.Linear(96, 2)
    opt = torch.optim.Adam([*crnn.parameters(), *style.parameters()], lr=1e-3)
    for step in range(5):
        img, label = captcha(8)
        logp = crnn(img)
        in_len = torch.full((8,), logp.size(0))
        loss = F.ctc_loss(logp, label, in_len, torch.full((8,), 4))
        loss = loss + F.cross_entropy(style(img.mean((1, 2))), label[:, 0] % 2)
        opt.zero_grad()
        loss.backward()
        opt.step()
        print(step, "frames", logp.size(0), "loss", loss.item())


main()
