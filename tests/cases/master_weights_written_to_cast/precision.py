import torch


class MixedPrecisionOptimizer:
    """Keeps float32 master weights next to low precision model weights."""

    def __init__(self, params, optimizer_cls, max_norm=None, **kwargs):
        self.model_params = [p for p in params if p.requires_grad]
        self.master_params = [p.detach().clone().float().requires_grad_(True) for p in self.model_params]
        self.inner = optimizer_cls(self.master_params, **kwargs)
        self.max_norm = max_norm

    @property
    def param_groups(self):
        return self.inner.param_groups

    def zero_grad(self):
        for p in self.model_params:
            p.grad = None
        self.inner.zero_grad()

    def _pull_gradients(self):
        for p, master in zip(self.model_params, self.master_params):
            master.grad = None if p.grad is None else p.grad.float()

    @torch.no_grad()
    def _push_weights(self):
        for p, master in zip(self.model_params, self.master_params):
            p.data.float().copy_(master.data)

    def step(self):
        self._pull_gradients()
        if self.max_norm is not None:
            torch.nn.utils.clip_grad_norm_(self.master_params, self.max_norm)
        self.inner.step()
        self._push_weights()
