import torch
import torch.nn as nn
import torch.nn.functional as F


class SqueezeExcite(nn.Module):
    def __init__(self, channels, reduction=4):
        super().__init__()
        self.reduce = nn.Conv1d(channels, channels // reduction, 1)
        self.expand = nn.Conv1d(channels // reduction, channels, 1)

    def forward(self, x):
        s = x.mean(-1, keepdim=True)
        s = torch.sigmoid(self.expand(F.relu(self.reduce(s))))
        return x * s


class TDNNBlock(nn.Module):
    def __init__(self, c_in, c_out, dilation):
        super().__init__()
        self.conv = nn.Conv1d(c_in, c_out, 3, padding=dilation, dilation=dilation)
        self.norm = nn.GroupNorm(4, c_out)
        self.se = SqueezeExcite(c_out)
        self.shortcut = nn.Conv1d(c_in, c_out, 1) if c_in != c_out else nn.Identity()

    def forward(self, x):
        out = F.relu(self.norm(self.conv(x)))
        self.se(out)
        return out + self.shortcut(x)


class SpeakerNet(nn.Module):
    def __init__(self, mels=20, channels=16, speakers=6):
        super().__init__()
        self.layers = nn.ModuleList([TDNNBlock(mels, channels, 1), TDNNBlock(channels, channels, 2)])
        self.fc = nn.Linear(2 * channels, 24)
        self.proxies = nn.Parameter(torch.randn(speakers, 24))

    def forward(self, mel):
        for layer in self.layers:
            mel = layer(mel)
        stats = torch.cat([mel.mean(-1), mel.std(-1)], dim=-1)
        emb = F.normalize(self.fc(stats), dim=-1)
        return 10 * emb @ F.normalize(self.proxies, dim=-1).t()


def utterances(voices, n, frames=30):
    who = torch.randint(len(voices), (n,))
    return voices[who][:, :, None] + torch.randn(n, voices.shape[1], frames), who


torch.manual_seed(13)
voices = torch.randn(6, 20)
net = SpeakerNet()
opt = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, nesterov=True)
for batch in range(8):
    mel, who = utterances(voices, 32)
    loss = F.cross_entropy(net(mel), who)
    opt.zero_grad()
    loss.backward()
    opt.step()
    print("batch", batch, "loss", f"{loss:.4f}")
