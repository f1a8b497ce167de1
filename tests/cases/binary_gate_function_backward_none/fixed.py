import torch
from torch import nn

torch.manual_seed(4)


class HardGate(torch.autograd.Function):
    """Keeps a channel when its score is positive."""

    @staticmethod
    def forward(ctx, feature, score):
        keep = (score > 0).to(feature.dtype)
        ctx.save_for_backward(keep, feature)
        return feature * keep

    @staticmethod
    def backward(ctx, grad_out):
        keep, feature = ctx.saved_tensors
        return grad_out * keep, (grad_out * feature).sum(-1, keepdim=True)


class ChannelGate(nn.Module):
    def __init__(self, ch):
        super().__init__()
        self.score = nn.Sequential(nn.Linear(ch, ch), nn.Tanh(), nn.Linear(ch, ch))

    def forward(self, x):
        s = self.score(x.mean(dim=-1)).unsqueeze(-1)
        return HardGate.apply(x, s)


stem = nn.Conv1d(2, 16, 7, padding=3)
gate = ChannelGate(16)
tail = nn.Sequential(nn.Conv1d(16, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(8, 3))
optimizer = torch.optim.SGD(
    [{"params": m.parameters()} for m in (stem, gate, tail)], lr=0.05, momentum=0.9)

for it in range(5):
    ecg = torch.randn(12, 2, 40)
    rhythm = torch.randint(0, 3, (12,))
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(tail(gate(torch.relu(stem(ecg)))), rhythm)
    loss.backward()
    optimizer.step()
    print(f"it {it}: loss {loss.item():.4f}")
