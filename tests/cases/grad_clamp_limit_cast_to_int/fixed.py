import torch
from torch import nn

torch.manual_seed(133)
HPARAMS = {"lr": "0.01", "clip": "0.5", "hidden": "20", "steps": "5"}   # from an ini file


def hp(name, kind=int):
    return kind(float(HPARAMS[name]))


class ValveController(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.cell = nn.GRUCell(3, hidden)
        self.valve = nn.Linear(hidden, 1)

    def forward(self, sensors):
        h = torch.zeros(sensors.size(1), self.cell.hidden_size)
        out = []
        for s in sensors:
            h = self.cell(s, h)
            out.append(self.valve(h))
        return torch.stack(out)


class PlantModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.response = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 1))

    def forward(self, sensors, valve):
        return self.response(torch.cat([sensors, valve], -1))


controller, plant = ValveController(hp("hidden")), PlantModel()
opt_c = torch.optim.SGD(controller.parameters(), lr=hp("lr", float))
opt_p = torch.optim.SGD(plant.parameters(), lr=hp("lr", float))
clip = hp("clip", float)

for step in range(hp("steps")):
    sensors = torch.randn(6, 12, 3)
    level = plant(sensors, controller(sensors))
    loss = (level - sensors[..., :1]).pow(2).mean()
    opt_c.zero_grad()
    opt_p.zero_grad()
    loss.backward()
    for p in controller.parameters():
        p.grad.clamp_(-clip, clip)
    opt_c.step()
    opt_p.step()
    print("step", step, f"loss {loss.item():.5f}")
