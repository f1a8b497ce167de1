import random

import torch
from torch import nn


def tdnn_layer(c_in, c_out, kernel, dilation):
    return nn.Sequential(nn.Conv1d(c_in, c_out, kernel, dilation=dilation), nn.ReLU())


class StatisticsPooling(nn.Module):
    def forward(self, frames):
        mean = frames.mean(dim=-1)
        var = (frames - mean.unsqueeze(-1)).square().mean(dim=-1)
        return torch.cat([mean, torch.sqrt(var)], dim=1)


class XVector(nn.Module):
    def __init__(self, n_mels, n_speakers):
        super().__init__()
        self.tdnn = nn.Sequential(tdnn_layer(n_mels, 24, 3, 1), tdnn_layer(24, 24, 3, 2))
        self.pool = StatisticsPooling()
        self.embedding = nn.Linear(48, 16)
        self.classifier = nn.Linear(16, n_speakers)

    def forward(self, mel):
        return self.classifier(torch.tanh(self.embedding(self.pool(self.tdnn(mel)))))


class Corpus:
    def __init__(self, n_speakers=5, n_mels=10, frames=40):
        self.timbre = torch.randn(n_speakers, n_mels, 1)
        self.shape = (n_mels, frames)

    def utterance(self, speaker, voiced=True):
        if not voiced:
            return torch.zeros(self.shape)
        return self.timbre[speaker] * torch.rand(1, self.shape[1]) + 0.3 * torch.randn(self.shape)

    def batch(self, size, silence_at=None):
        speakers = [random.randrange(len(self.timbre)) for _ in range(size)]
        mels = [self.utterance(s, voiced=i != silence_at) for i, s in enumerate(speakers)]
        return torch.stack(mels), torch.tensor(speakers)


random.seed(1)
torch.manual_seed(1)
corpus, net = Corpus(), XVector(10, 5)
sgd = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
criterion = nn.CrossEntropyLoss(label_smoothing=0.05)
for step in range(7):
    mels, speakers = corpus.batch(16, silence_at=11 if step == 3 else None)
    loss = criterion(net(mels), speakers)
    sgd.zero_grad()
    loss.backward()
    sgd.step()
    print("step %d: %.4f" % (step, loss.item()))
