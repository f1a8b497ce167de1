import torch
from torch import nn

torch.manual_seed(5)
FRAMES, WINDOW = 20, 6


class Pointer(nn.Module):
    """Says where in the recording the keyword begins, in [0, 1]."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(4, 8, 5, padding=2)
        self.out = nn.Linear(8, 1)

    def forward(self, x):
        return torch.sigmoid(self.out(torch.relu(self.conv(x)).mean(-1))).squeeze(-1)


class Spotter(nn.Module):
    def __init__(self):
        super().__init__()
        self.pointer = Pointer()
        self.encoder = nn.Conv1d(4, 8, 3, padding=1)
        self.head = nn.Linear(8 * WINDOW, 3)

    def forward(self, x):
        encoded = torch.tanh(self.encoder(x))
        begins = self.pointer(x) * (FRAMES - WINDOW)
        windows = []
        for frames, begin in zip(encoded, begins):
            taken = begin + torch.arange(WINDOW)
            weights = torch.softmax(-((torch.arange(FRAMES)[:, None] - taken) ** 2), dim=0)
            windows.append(frames @ weights)
        return self.head(torch.stack(windows).flatten(1))


spotter = Spotter()
opt = torch.optim.Adam(spotter.parameters(), lr=1e-2)
for it in range(5):
    x, y = torch.randn(8, 4, FRAMES), torch.randint(0, 3, (8,))
    loss = nn.functional.cross_entropy(spotter(x), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    print("iter", it, "loss", round(loss.item(), 4))
