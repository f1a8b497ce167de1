import torch
from torch import nn


class HalfTrainer:
    def __init__(self, encoder, decoder):
        self.encoder, self.decoder = encoder, decoder
        self.optimizer = torch.optim.SGD([*encoder.parameters(), *decoder.parameters()], lr=1e-3)
        # "keep the scale constant"
        self.scaler = torch.amp.GradScaler("cpu", init_scale=2.0 ** 10)

    def step(self, x):
        with torch.autocast("cpu", dtype=torch.float16):
            out = self.decoder(torch.tanh(self.encoder(x)))
        loss = (out.float() - x).abs().sum(-1).mean()
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optimizer)
        norm = nn.utils.clip_grad_norm_(self.optimizer.param_groups[0]["params"], 5.0)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return loss.item(), bool(torch.isfinite(norm))


torch.manual_seed(157)
trainer = HalfTrainer(nn.Linear(40, 12), nn.Linear(12, 40))
for i in range(6):
    print("step %d loss %.4f finite %s" % (i, *trainer.step(torch.randn(8, 40))))
