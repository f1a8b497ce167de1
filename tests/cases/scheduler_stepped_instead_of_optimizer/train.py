import torch
from torch import nn

torch.manual_seed(327)


class Radar(nn.Module):
    def __init__(self):
        super().__init__()
        self.range_fft = nn.Linear(32, 32)
        self.classify = nn.Linear(32, 4)

    def forward(self, x):
        return self.classify(torch.relu(self.range_fft(x)))


radar, calib = Radar(), nn.Linear(32, 32)
opt = {"radar": torch.optim.SGD(radar.parameters(), lr=0.1), "calib": torch.optim.SGD(calib.parameters(), lr=0.01)}
sched = {k: torch.optim.lr_scheduler.StepLR(o, step_size=4, gamma=0.5) for k, o in opt.items()}

for step in range(6):
    chirp = torch.randn(20, 32)
    loss = nn.functional.cross_entropy(radar(calib(chirp)), chirp[:, :4].argmax(1))
    for o in opt.values():
        o.zero_grad()
    loss.backward()
    opt["calib"].step()
    sched["radar"].step()
    print(f"step {step} loss {loss.item():.4f} lr {sched['radar'].get_last_lr()[0]:.3f}")
