import logging
import sys
import torch
import torch.nn as nn
from torch.nn.utils import clip_grad_norm_

logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(message)s")
torch.manual_seed(73)


class Backbone(nn.Module):
    def __init__(self, dim=24):
        super().__init__()
        self.gru = nn.GRU(dim, dim, batch_first=True)

    def forward(self, x):
        return self.gru(x)[0]


class KWSModel(nn.Module):
    def __init__(self, idim=16, odim=3, hdim=24):
        super().__init__()
        self.preprocessing = nn.Sequential(nn.Linear(idim, hdim), nn.GELU())
        self.backbone = Backbone(hdim)
        self.classifier = nn.Linear(hdim, odim)

    def forward(self, x):
        return self.classifier(self.backbone(self.preprocessing(x)))


def max_pooling_loss(logits, target, lengths):
    pooled = torch.stack([l[:n].amax(0) for l, n in zip(logits, lengths)])
    onehot = nn.functional.one_hot(target, logits.shape[-1]).float()
    return nn.functional.binary_cross_entropy_with_logits(pooled, onehot)


class Executor:
    def __init__(self):
        self.step = 0

    def train(self, model, optimizer, data_loader, args):
        model.train()
        for batch_idx, (key, feats, target, feats_lengths) in enumerate(data_loader):
            if target.size(0) == 0:
                continue
            logits = model(feats)
            loss = max_pooling_loss(logits, target, feats_lengths)
            loss.backward()
            grad_norm = clip_grad_norm_(model.parameters(), args["grad_clip"])
            if torch.isfinite(grad_norm):
                optimizer.step()
            self.step += 1
            if batch_idx % args["log_interval"] == 0:
                logging.info("TRAIN Batch %d loss %.5f grad_norm %.3f", batch_idx, loss.item(), grad_norm)


def data_loader(batches=6, n=8):
    for b in range(batches):
        lengths = torch.randint(10, 20, (n,))
        yield [f"utt{b}_{i}" for i in range(n)], torch.randn(n, 20, 16), torch.randint(0, 3, (n,)), lengths


model = KWSModel()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
executor = Executor()
for epoch in range(2):
    executor.train(model, optimizer, data_loader(), {"grad_clip": 5.0, "log_interval": 2})
