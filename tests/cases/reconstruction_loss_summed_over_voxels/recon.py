import torch
from torch import nn


class Recon:
    def __init__(self, hparams):
        self.network = nn.Sequential(nn.Conv3d(1, 6, 3, padding=1), nn.ReLU(), nn.Conv3d(6, 1, 3, padding=1))
        self.optimizer = torch.optim.SGD(self.network.parameters(), lr=hparams["lr"])
        self.loss_fun = nn.MSELoss(reduction=hparams["loss"])

    def fit_batch(self, inp, target):
        self.optimizer.zero_grad()
        loss = self.loss_fun(self.network(inp), target)
        loss.backward()
        self.optimizer.step()
        return loss.item()
