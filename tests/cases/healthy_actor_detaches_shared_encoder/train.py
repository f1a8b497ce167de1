import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(43)
encoder = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 25, 16), nn.LayerNorm(16), nn.Tanh())
actor = nn.Sequential(nn.Linear(16, 24), nn.ReLU(), nn.Linear(24, 2), nn.Tanh())
critic = nn.Sequential(nn.Linear(18, 24), nn.ReLU(), nn.Linear(24, 1))
critic_optimizer = torch.optim.Adam([*encoder.parameters(), *critic.parameters()], lr=1e-3)
actor_optimizer = torch.optim.Adam(actor.parameters(), lr=1e-3)


def q_value(obs, action, detach_encoder=False):
    h = encoder(obs)
    if detach_encoder:
        h = h.detach()
    return critic(torch.cat([h, action], dim=1))


def update_critic(obs, action, reward, next_obs):
    with torch.no_grad():
        target = reward + 0.9 * q_value(next_obs, actor(encoder(next_obs)))
    loss = F.mse_loss(q_value(obs, action), target)
    critic_optimizer.zero_grad()
    loss.backward()
    critic_optimizer.step()
    return loss.item()


def update_actor(obs):
    # detach encoder, so we don't update it with the actor loss
    action = actor(encoder(obs).detach())
    loss = -q_value(obs, action, detach_encoder=True).mean()
    actor_optimizer.zero_grad()
    loss.backward()
    actor_optimizer.step()
    return loss.item()


for step in range(8):
    obs, next_obs = torch.rand(16, 3, 11, 11), torch.rand(16, 3, 11, 11)
    action = torch.rand(16, 2) * 2 - 1
    reward = -(action - obs.mean(dim=(2, 3))[:, :2]).pow(2).sum(1, keepdim=True)
    log = {"critic": update_critic(obs, action, reward, next_obs)}
    if step % 2 == 0:
        log["actor"] = update_actor(obs)
    print(step, {k: round(v, 4) for k, v in log.items()})
