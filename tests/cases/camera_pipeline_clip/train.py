import torch
import torch.nn as nn


class LearnedISP(nn.Module):
    """White balance, colour matrix and exposure of a camera, learned for a detector."""

    def __init__(self):
        super().__init__()
        self.gains = nn.Parameter(torch.tensor([1.9, 1.0, 1.6]))
        self.log_exposure = nn.Parameter(torch.zeros(()))
        self.colour = nn.Conv2d(3, 3, 1, bias=False)
        with torch.no_grad():
            self.colour.weight.copy_(0.9 * torch.eye(3).view(3, 3, 1, 1) + 0.03)

    def forward(self, raw):
        img = raw * self.gains.view(1, 3, 1, 1) * self.log_exposure.exp()
        img = self.colour(img)
        img = img.clip(0.0, 1.0)
        return img - 0.5


class Sensor:
    def __init__(self, bits=12, black=64.0):
        self.white, self.black = float(2 ** bits - 1), black

    def expose(self, radiance):
        electrons = radiance * (self.white - self.black) * 0.4
        noise = torch.randn_like(electrons) * electrons.sqrt() * 0.2
        return (electrons + noise).clamp(min=1.0) + self.black

    def decode(self, frame):
        return frame - self.black + 8.0


def scenes(n_steps, batch=16):
    for _ in range(n_steps):
        label = torch.randint(0, 2, (batch,))
        radiance = 0.25 + 0.5 * torch.rand(batch, 3, 12, 12)
        radiance[:, 0, 3:9, 3:9] += 0.6 * label.view(-1, 1, 1)
        yield radiance, label


torch.manual_seed(7)
sensor = Sensor()
isp = LearnedISP()
detector = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.LeakyReLU(0.1), nn.Conv2d(8, 8, 3, stride=2), nn.LeakyReLU(0.1),
                         nn.Flatten(), nn.Linear(32, 2))
opt_isp = torch.optim.Adam(isp.parameters(), lr=1e-2)
opt_det = torch.optim.Adam(detector.parameters(), lr=1e-3)
for i, (radiance, label) in enumerate(scenes(8)):
    frame = sensor.decode(sensor.expose(radiance))
    logits = detector(isp(frame))
    loss = nn.functional.cross_entropy(logits, label)
    opt_isp.zero_grad(), opt_det.zero_grad()
    loss.backward()
    opt_isp.step(), opt_det.step()
    print(i, f"{loss.item():.4f}")
