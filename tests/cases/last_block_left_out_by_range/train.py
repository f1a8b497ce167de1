import torch
from torch import nn


class GatedConv(nn.Module):
    def __init__(self, ch, dilation):
        super().__init__()
        self.filter = nn.Conv1d(ch, ch, 2, dilation=dilation)
        self.gate = nn.Conv1d(ch, ch, 2, dilation=dilation)
        self.pad = dilation

    def forward(self, x):
        y = nn.functional.pad(x, (self.pad, 0))
        return x + torch.tanh(self.filter(y)) * torch.sigmoid(self.gate(y))


class WaveStack(nn.Module):
    def __init__(self, ch=8, depth=4):
        super().__init__()
        self.depth = depth
        self.inp = nn.Conv1d(1, ch, 1)
        self.blocks = nn.ModuleDict({f"dil{2 ** i}": GatedConv(ch, 2 ** i) for i in range(depth)})
        self.out = nn.Conv1d(ch, 1, 1)

    def forward(self, x):
        x = self.inp(x)
        for i in range(self.depth - 1):
            x = self.blocks[f"dil{2 ** i}"](x)
        return self.out(x)


torch.manual_seed(321)
stack = WaveStack()
trainer = torch.optim.Adam(stack.parameters(), lr=2e-3)
for step in range(5):
    wave = torch.sin(torch.linspace(0, 12, 33) + 6 * torch.rand(8, 1, 1))
    loss = (stack(wave[..., :-1]) - wave[..., 1:]).pow(2).mean()
    trainer.zero_grad()
    loss.backward()
    trainer.step()
    print("step", step, "next sample mse", f"{loss.item():.4f}")
