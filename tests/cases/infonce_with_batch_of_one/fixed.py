import torch
from torch import nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset


class Clap(nn.Module):
    def __init__(self):
        super().__init__()
        self.audio = nn.Sequential(nn.Conv1d(1, 8, 9, stride=4), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 14, 16))
        self.text = nn.EmbeddingBag(100, 16)
        self.log_temperature = nn.Parameter(torch.tensor(1.0))

    def forward(self, wave, caption):
        a = F.normalize(self.audio(wave), dim=1)
        t = F.normalize(self.text(caption), dim=1)
        return self.log_temperature.exp() * a @ t.T


def clip_loss(logits):
    labels = torch.arange(len(logits))
    return (F.cross_entropy(logits, labels) + F.cross_entropy(logits.T, labels)) / 2


torch.manual_seed(0)
waves = torch.randn(96, 1, 64)
captions = torch.randint(0, 100, (96, 6))
waves[:, 0, :6] += captions / 50
loader = DataLoader(TensorDataset(waves, captions), batch_size=16, shuffle=True)
model = Clap()
optimizer = torch.optim.AdamW(model.parameters(), lr=5e-4)

for step, (wave, caption) in enumerate(loader):
    loss = clip_loss(model(wave, caption))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"step {step} loss {loss.item():.4f}")
    if step == 7:
        break
