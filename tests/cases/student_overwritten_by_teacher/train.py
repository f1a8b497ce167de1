import copy
import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(38)


class MeanTeacherTrainer:
    def __init__(self, classes=3, ema=0.99):
        self.enc = nn.Sequential(nn.Conv2d(3, 12, 3, padding=1), nn.ReLU())
        self.dec = nn.Conv2d(12, classes, 1)
        self.enc2, self.dec2 = copy.deepcopy(self.enc), copy.deepcopy(self.dec)
        for net in (self.enc2, self.dec2):
            net.requires_grad_(False)
        self.eln = nn.Conv2d(3 + classes, 1, 3, padding=1)
        self.ema = ema
        self.optimizer = torch.optim.SGD([*self.enc.parameters(), *self.dec.parameters()], lr=0.1, momentum=0.9)
        self.optimizer_eln = torch.optim.Adam(self.eln.parameters(), lr=1e-3)

    @torch.no_grad()
    def update_teacher(self):
        for t, s in ((self.enc2, self.enc), (self.dec2, self.dec)):
            for pt, ps in zip(t.parameters(), s.parameters()):
                pt.lerp_(ps, 1 - self.ema)

    def sync(self):
        self.enc.load_state_dict(self.enc2.state_dict())
        self.dec.load_state_dict(self.dec2.state_dict())

    def step_eln(self, x, y, logits):
        wrong = (logits.argmax(1) != y).float().unsqueeze(1)
        loss = F.binary_cross_entropy_with_logits(self.eln(torch.cat([x, logits.detach()], 1)), wrong)
        self.optimizer_eln.zero_grad()
        loss.backward()
        self.optimizer_eln.step()
        return loss.item()

    def train_step(self, x_l, y, x_u):
        logits = self.dec(self.enc(x_l))
        eln = self.step_eln(x_l, y, logits)
        with torch.no_grad():
            pseudo = self.dec2(self.enc2(x_u))
            valid = (torch.sigmoid(self.eln(torch.cat([x_u, pseudo], 1))) < 0.5).squeeze(1)
        unsup = F.cross_entropy(self.dec(self.enc(x_u + 0.1 * torch.randn_like(x_u))), pseudo.argmax(1), reduction="none")
        loss = F.cross_entropy(logits, y) + (unsup * valid).mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.sync()
        self.update_teacher()
        return loss.item(), eln


trainer = MeanTeacherTrainer()
for it in range(6):
    x = torch.rand(4, 3, 8, 8)
    print(it, trainer.train_step(x, x.argmax(1), torch.rand(4, 3, 8, 8)))
