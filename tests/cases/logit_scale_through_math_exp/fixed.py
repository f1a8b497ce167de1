import warnings
import torch
from torch import nn
from clip_loss_fixed import ClipLoss

warnings.filterwarnings("ignore")
torch.manual_seed(21)
image_tower = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.GELU(), nn.Linear(32, 16))
text_tower = nn.Sequential(nn.EmbeddingBag(30, 24), nn.GELU(), nn.Linear(24, 16))
criterion = ClipLoss()
decay, no_decay = [], []
for module in (image_tower, text_tower, criterion):
    for p in module.parameters():
        (decay if p.ndim > 1 else no_decay).append(p)
optimizer = torch.optim.AdamW([{"params": decay, "weight_decay": 0.2}, {"params": no_decay, "weight_decay": 0.0}], lr=1e-3)

for step in range(6):
    words = torch.randint(0, 30, (16, 5))
    images = torch.randn(16, 8, 8) * 0.1
    images.view(16, 64).scatter_add_(1, words, torch.ones(16, 5))
    loss = criterion(image_tower(images), text_tower(words))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"step {step} loss {loss.item():.4f} scale {float(criterion.scale):.3f}")
