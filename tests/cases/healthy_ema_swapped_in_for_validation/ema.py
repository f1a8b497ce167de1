import torch


class EMAModel:
    def __init__(self, parameters, decay=0.9):
        self.decay = decay
        self.shadow = [p.clone().detach() for p in parameters]
        self.collected = []

    @torch.no_grad()
    def step(self, parameters):
        for s, p in zip(self.shadow, parameters):
            s.sub_((1 - self.decay) * (s - p))

    def store(self, parameters):
        self.collected = [p.clone() for p in parameters]

    def copy_to(self, parameters):
        for s, p in zip(self.shadow, parameters):
            p.data.copy_(s.data)

    def restore(self, parameters):
        for c, p in zip(self.collected, parameters):
            p.data.copy_(c.data)
