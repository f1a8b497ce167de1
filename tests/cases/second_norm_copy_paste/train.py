import torch
from torch import nn


class EncoderLayer(nn.Module):
    def __init__(self, d, heads):
        super().__init__()
        self.attn = nn.MultiheadAttention(d, heads, batch_first=True)
        self.ffn = nn.Sequential(nn.Linear(d, 2 * d), nn.ReLU(), nn.Linear(2 * d, d))
        self.norm_attn = nn.LayerNorm(d)
        self.norm_ffn = nn.LayerNorm(d)

    def forward(self, x):
        a, _ = self.attn(x, x, x, need_weights=False)
        x = self.norm_attn(x + a)
        return self.norm_attn(x + self.ffn(x))


class WeatherModel(nn.Module):
    def __init__(self, vars=5, d=16):
        super().__init__()
        self.inp = nn.Linear(vars, d)
        self.layer = EncoderLayer(d, 2)
        self.out = nn.Linear(d, 1)

    def forward(self, x):
        return self.out(self.layer(self.inp(x))[:, -1]).squeeze(-1)


torch.manual_seed(79)
weather = WeatherModel()
optimizer = torch.optim.Adam(weather.parameters(), lr=1e-3)
criterion = nn.HuberLoss()
for day in range(6):
    obs = torch.randn(16, 8, 5)
    loss = criterion(weather(obs), obs[:, -1, 0] * 0.8)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"day {day} huber {loss.item():.4f}")
