import torch
from torch import nn


class GaussianModel:
    def __init__(self, n, extent=1.0):
        self.anchor = (torch.rand(n, 2) * 2 - 1) * extent
        self._offset = nn.Parameter(torch.zeros(n, 2))
        self._color = nn.Parameter(torch.zeros(n, 3))
        self._opacity = nn.Parameter(torch.full((n, 1), -1.0))
        self._scaling = nn.Parameter(torch.full((n, 1), -1.5))
        self.optimizer = None

    @property
    def get_xyz(self):
        return self.anchor + self._offset

    @property
    def get_opacity(self):
        return self._opacity.sigmoid()

    @property
    def get_scaling(self):
        return self._scaling.exp()

    def training_setup(self, lrs):
        groups = [{"params": [getattr(self, "_" + name)], "lr": lr, "name": name} for name, lr in lrs.items()]
        self.optimizer = torch.optim.Adam(groups, lr=0.0, eps=1e-15)

    def walk(self):
        self.anchor = self.get_xyz.detach().clamp(-1, 1)
        for group in self.optimizer.param_groups:
            if group["name"] != "offset":
                continue
            old = group["params"][0]
            state = self.optimizer.state.pop(old)
            state["exp_avg"] = torch.zeros_like(old)
            state["exp_avg_sq"] = torch.zeros_like(old)
            group["params"][0] = nn.Parameter(torch.zeros_like(old))
            self.optimizer.state[group["params"][0]] = state
            self._offset = group["params"][0]
