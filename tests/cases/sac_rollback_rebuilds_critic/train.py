import copy
import io
import torch
import torch.nn.functional as F
from nets import Policy, TwinQ

torch.manual_seed(41)


class SAC:
    def __init__(self, obs=6, act=2, lr=1e-3, tau=0.02):
        self.actor, self.critic = Policy(obs, act), TwinQ(obs, act)
        self.target = copy.deepcopy(self.critic).requires_grad_(False)
        self.log_alpha = torch.zeros((), requires_grad=True)
        self.target_entropy, self.tau = -float(act), tau
        self.opt_actor = torch.optim.Adam(self.actor.parameters(), lr=lr)
        self.opt_critic = torch.optim.Adam(self.critic.parameters(), lr=lr)
        self.opt_alpha = torch.optim.Adam([self.log_alpha], lr=lr)

    def save(self):
        blob = io.BytesIO()
        torch.save({"actor": self.actor.state_dict(), "critic": self.critic.state_dict(),
                    "args": self.critic.args, "log_alpha": self.log_alpha.detach()}, blob)
        return blob.getvalue()

    def load(self, raw):
        ckpt = torch.load(io.BytesIO(raw))
        self.actor.load_state_dict(ckpt["actor"])
        self.critic = TwinQ(**ckpt["args"])
        self.critic.load_state_dict(ckpt["critic"])
        self.target.load_state_dict(ckpt["critic"])
        self.log_alpha.data.copy_(ckpt["log_alpha"])

    def update(self, o, a, r, o2):
        alpha = self.log_alpha.exp().detach()
        with torch.no_grad():
            a2, logp2 = self.actor(o2)
            y = r + 0.99 * (torch.min(*self.target(o2, a2)) - alpha * logp2)
        q1, q2 = self.critic(o, a)
        critic_loss = F.mse_loss(q1, y) + F.mse_loss(q2, y)
        self.opt_critic.zero_grad()
        critic_loss.backward()
        self.opt_critic.step()

        self.critic.requires_grad_(False)
        pi, logp = self.actor(o)
        actor_loss = (alpha * logp - torch.min(*self.critic(o, pi))).mean()
        self.opt_actor.zero_grad()
        actor_loss.backward()
        self.opt_actor.step()
        self.critic.requires_grad_(True)

        alpha_loss = -(self.log_alpha * (logp.detach() + self.target_entropy)).mean()
        self.opt_alpha.zero_grad()
        alpha_loss.backward()
        self.opt_alpha.step()
        with torch.no_grad():
            for p, t in zip(self.critic.parameters(), self.target.parameters()):
                t.lerp_(p, self.tau)
        return critic_loss.item(), actor_loss.item()


agent = SAC()
best, best_return, patience = agent.save(), -1e9, 0
for it in range(24):
    o = torch.randn(64, 6)
    a = torch.rand(64, 2) * 2 - 1
    r = -(o[:, :2] - a).pow(2).sum(-1)
    c, pi_loss = agent.update(o, a, r, o + 0.1 * torch.randn_like(o))
    if it % 4 == 3:
        with torch.no_grad():
            test = torch.randn(256, 6)
            ret = -(test[:, :2] - agent.actor(test)[0]).pow(2).sum(-1).mean().item()
        if it == 7:
            print("evaluation collapsed, rolling back")
            agent.load(best)
        elif ret > best_return:
            best, best_return = agent.save(), ret
        print(f"it {it + 1} critic {c:.3f} actor {pi_loss:.3f} return {ret:.3f}")
