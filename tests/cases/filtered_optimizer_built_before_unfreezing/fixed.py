import torch
from torch import nn
import torch.nn.functional as F


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.chars = nn.EmbeddingBag(30, 10)
        self.context = nn.GRU(10, 12, batch_first=True)
        self.tag = nn.Linear(12, 5)

    def forward(self, chars):
        b, t, c = chars.shape
        h, _ = self.context(self.chars(chars.view(b * t, c)).view(b, t, -1))
        return self.tag(h)


class Schedule:
    """Trains the output layer first, then the rest."""

    def __init__(self, model, unfreeze_at):
        self.model, self.unfreeze_at = model, unfreeze_at
        for name, p in model.named_parameters():
            p.requires_grad = name.startswith("tag")
        trainable = [p for p in model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(trainable, lr=3e-3)

    def on_epoch(self, epoch):
        if epoch == self.unfreeze_at:
            fresh = [p for p in self.model.parameters() if not p.requires_grad]
            self.model.requires_grad_(True)
            self.optimizer.add_param_group({"params": fresh, "lr": 1e-3})
            print("unfroze", sum(p.requires_grad for p in self.model.parameters()), "tensors")


torch.manual_seed(103)
tagger = Tagger()
schedule = Schedule(tagger, unfreeze_at=1)
for epoch in range(4):
    schedule.on_epoch(epoch)
    for _ in range(2):
        chars = torch.randint(0, 30, (6, 5, 4))
        loss = F.cross_entropy(tagger(chars).flatten(0, 1), (chars[..., 0] % 5).flatten())
        tagger.zero_grad()
        loss.backward()
        schedule.optimizer.step()
    print("epoch", epoch, "loss", round(loss.item(), 4))
