import torch
from torch import nn

torch.manual_seed(0)
ATOMS, ACTIONS, VMIN, VMAX = 401, 3, -10.0, 10.0


class CategoricalNet(nn.Module):
    def __init__(self, obs=6):
        super().__init__()
        self.features = nn.Sequential(nn.Linear(obs, 48), nn.ReLU())
        self.value = nn.Linear(48, ACTIONS * ATOMS)

    def forward(self, x):
        return self.value(self.features(x)).view(-1, ACTIONS, ATOMS).softmax(-1)


class CategoricalUpdate:
    def __init__(self, policy, lr=1e-3):
        self.policy = policy
        self.support = torch.linspace(VMIN, VMAX, ATOMS)
        self.optimizer = torch.optim.Adam(policy.parameters(), lr=lr)

    def project(self, returns):
        b = (returns - VMIN) / ((VMAX - VMIN) / (ATOMS - 1))
        lo = b.floor().long().clamp(0, ATOMS - 2)
        m = torch.zeros(len(returns), ATOMS)
        m.scatter_(1, lo[:, None], 1 - (b - lo)[:, None])
        m.scatter_(1, lo[:, None] + 1, (b - lo)[:, None])
        return m

    def __call__(self, states, actions, returns):
        qa_probs = self.policy(states)[torch.arange(len(states)), actions]
        qa_probs = qa_probs.clamp(min=1e-8)             # log(0) = -inf
        loss = -(self.project(returns) * qa_probs.log()).sum(1).mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()


policy = CategoricalNet()
dynamics = nn.Linear(6, 6)
dyn_opt = torch.optim.SGD(dynamics.parameters(), lr=0.1)
update = CategoricalUpdate(policy)
for it in range(8):
    s = torch.randn(32, 6)
    a = torch.randint(0, ACTIONS, (32,))
    g = (s[:, 0] * 3).clamp(-9, 9)
    value_loss = update(s, a, g)
    model_loss = (dynamics(s) - (s * 0.9 + 0.1)).pow(2).mean()
    dyn_opt.zero_grad()
    model_loss.backward()
    dyn_opt.step()
    print(it, value_loss, model_loss.item())
