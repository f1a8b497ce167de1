import torch
from torch import nn
import torch.nn.functional as F
from callbacks_fixed import BackboneFinetuning

torch.manual_seed(0)


class LitClassifier(nn.Module):
    def __init__(self, classes=5):
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.Conv2d(8, 16, 3, 2), nn.ReLU(),
                                      nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(16, classes)

    def training_step(self, batch):
        x, y = batch
        return F.cross_entropy(self.head(self.backbone(x)), y)

    def configure_optimizers(self):
        return torch.optim.AdamW((p for p in self.parameters() if p.requires_grad), lr=3e-3)


class Trainer:
    def __init__(self, max_epochs, callbacks):
        self.max_epochs, self.callbacks = max_epochs, callbacks
        self.current_epoch, self.restored = 0, None

    def fit(self, module, batches, ckpt=None):
        for cb in self.callbacks:
            cb.setup(module)
        self.optimizer = module.configure_optimizers()
        if ckpt is not None:
            module.load_state_dict(ckpt["state_dict"])
            self.restored, self.current_epoch = ckpt, ckpt["epoch"]
        for cb in self.callbacks:
            cb.on_fit_start(self, module)
        while self.current_epoch < self.max_epochs:
            for cb in self.callbacks:
                cb.on_train_epoch_start(self, module)
            for batch in batches():
                loss = module.training_step(batch)
                self.optimizer.zero_grad()
                loss.backward()
                self.optimizer.step()
            print(f"epoch {self.current_epoch} loss {loss.item():.4f} lrs {[g['lr'] for g in self.optimizer.param_groups]}")
            self.current_epoch += 1


protos = torch.rand(5, 3, 16, 16)


def batches(n=6):
    for _ in range(n):
        y = torch.randint(0, 5, (16,))
        yield protos[y] + 0.1 * torch.randn(16, 3, 16, 16), y


last = {"epoch": 4, "state_dict": LitClassifier().state_dict(), "extra_groups": ["backbone"]}
model = LitClassifier()
trainer = Trainer(max_epochs=8, callbacks=[BackboneFinetuning(unfreeze_at_epoch=2)])
trainer.fit(model, batches, ckpt=last)
