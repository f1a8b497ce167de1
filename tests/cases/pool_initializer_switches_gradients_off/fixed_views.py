from concurrent.futures import ThreadPoolExecutor

import torch


def _worker_init():
    torch.set_num_threads(1)


class ViewPipeline:
    """Builds augmented views of a batch in a small pool; `stages` run one after the other."""

    def __init__(self, stages, n_views=2, workers=2):
        self.stages, self.n_views = stages, n_views
        self.pool = ThreadPoolExecutor(workers, initializer=_worker_init)

    def _one(self, x):
        for stage in self.stages:
            x = stage(x)
        return x

    def __call__(self, x):
        return list(self.pool.map(self._one, [x] * self.n_views))

    def close(self):
        self.pool.shutdown()


def jitter(x):
    return x + 0.1 * torch.randn_like(x)


def drop_channels(x):
    return x * (torch.rand(x.shape[0], x.shape[1], 1) > 0.2)
