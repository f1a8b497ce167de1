import copy
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)
cfg = dict(clients=2, rounds=3, local_steps=8, lr=0.05)


class Server:
    def __init__(self):
        self.body = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 24), nn.ReLU())
        self.body.requires_grad_(False)          # only averaged here, never back-propagated

    def average(self, bodies):
        with torch.no_grad():
            for name, p in self.body.named_parameters():
                p.copy_(torch.stack([dict(b.named_parameters())[name] for b in bodies]).mean(0))


class Client:
    def __init__(self, server, seed):
        g = torch.Generator().manual_seed(seed)
        self.w = torch.randn(16, 4, generator=g)
        self.x = torch.randn(200, 16, generator=g)
        self.y = (self.x @ self.w).argmax(1)
        self.body = copy.deepcopy(server.body)
        self.head = nn.Linear(24, 4)

    def pull(self, server):
        self.body.load_state_dict(server.body.state_dict())

    def fit(self):
        opt = torch.optim.SGD([
            {"params": self.head.parameters()},
            {"params": self.body.parameters(), "lr": cfg["lr"] / 2},
        ], lr=cfg["lr"], momentum=0.9)
        for _ in range(cfg["local_steps"]):
            idx = torch.randint(0, len(self.x), (32,))
            loss = F.cross_entropy(self.head(self.body(self.x[idx])), self.y[idx])
            opt.zero_grad()
            loss.backward()
            opt.step()
        return loss.item()


server = Server()
clients = [Client(server, seed=s) for s in range(cfg["clients"])]
for rnd in range(cfg["rounds"]):
    losses = []
    for c in clients:
        c.pull(server)
        losses.append(c.fit())
    server.average([c.body for c in clients])
    print(rnd, [round(l, 3) for l in losses])
