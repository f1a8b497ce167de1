"""Correct loops that train agents."""

from __future__ import annotations

import copy
import random
from collections import deque

import numpy as np
import torch
from torch import nn
from torch.distributions import Categorical, Normal
from torch.nn import functional as fn

from tests.healthy.parts import Watch, mlp


def reinforce(watch: Watch) -> list[float]:
    policy = mlp(4, 16, 2)
    watch(policy=policy)
    optimizer = torch.optim.Adam(policy.parameters(), lr=1e-2)
    losses = []
    for _ in range(8):
        state, log_probs, rewards = torch.randn(4), [], []
        for _ in range(10):
            choice = Categorical(logits=policy(state))
            action = choice.sample()
            log_probs.append(choice.log_prob(action))
            rewards.append(float(action.item() == int(state[0] > 0)))
            state = torch.randn(4)
        returns, total = [], 0.0
        for reward in reversed(rewards):
            total = reward + 0.99 * total
            returns.insert(0, total)
        gains = torch.tensor(returns)
        gains = (gains - gains.mean()) / (gains.std() + 1e-8)
        loss = -(torch.stack(log_probs) * gains).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


class _ActorCritic(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.policy, self.value = mlp(4, 32, 32), nn.Linear(32, 3), nn.Linear(32, 1)

    def forward(self, x: torch.Tensor) -> tuple[Categorical, torch.Tensor]:
        hidden = torch.tanh(self.body(x))
        return Categorical(logits=self.policy(hidden)), self.value(hidden).squeeze(-1)


def ppo(watch: Watch) -> list[float]:
    agent = _ActorCritic()
    watch(agent=agent)
    optimizer = torch.optim.Adam(agent.parameters(), lr=3e-4, eps=1e-5)
    losses = []
    for _ in range(3):
        with torch.no_grad():
            states = torch.randn(32, 4)
            choice, values = agent(states)
            actions = choice.sample()
            old = choice.log_prob(actions)
            rewards = (actions == (states[:, 0] > 0).long()).float()
            advantages = rewards - values
            returns = advantages + values
        for _ in range(2):
            for index in torch.randperm(32).split(16):
                choice, value = agent(states[index])
                ratio = (choice.log_prob(actions[index]) - old[index]).exp()
                advantage = advantages[index]
                advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
                surrogate = torch.min(ratio * advantage, ratio.clamp(0.8, 1.2) * advantage).mean()
                loss = -surrogate + 0.5 * fn.mse_loss(value, returns[index]) - 0.01 * choice.entropy().mean()
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(agent.parameters(), 0.5)
                optimizer.step()
                losses.append(loss.item())
    return losses


def actor_and_critic_apart(watch: Watch) -> list[float]:
    actor, critic = mlp(4, 16, 2), mlp(4, 16, 1)
    watch(actor=actor, critic=critic)
    opt_actor = torch.optim.Adam(actor.parameters(), lr=1e-3)
    opt_critic = torch.optim.Adam(critic.parameters(), lr=1e-3)
    losses = []
    for _ in range(10):
        state, after = torch.randn(16, 4), torch.randn(16, 4)
        choice = Categorical(logits=actor(state))
        action = choice.sample()
        reward = (action == 0).float()
        with torch.no_grad():
            target = reward + 0.9 * critic(after).squeeze(-1)
        error = target - critic(state).squeeze(-1)
        opt_critic.zero_grad()
        error.pow(2).mean().backward()
        opt_critic.step()
        opt_actor.zero_grad()
        (-(choice.log_prob(action) * error.detach()).mean() - 0.01 * choice.entropy().mean()).backward()
        opt_actor.step()
        losses.append(error.abs().mean().item())
    return losses


class _Gaussian(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = mlp(3, 32, 4)

    def forward(self, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mean, log_std = self.net(state).chunk(2, -1)
        choice = Normal(mean, log_std.clamp(-5, 2).exp())
        raw = choice.rsample()
        action = torch.tanh(raw)
        log_prob = choice.log_prob(raw) - torch.log(1 - action.pow(2) + 1e-6)
        return action, log_prob.sum(-1, keepdim=True)


def sac(watch: Watch) -> list[float]:
    actor, q1, q2 = _Gaussian(), mlp(5, 32, 1), mlp(5, 32, 1)
    target1, target2 = copy.deepcopy(q1), copy.deepcopy(q2)
    log_alpha = torch.zeros(1, requires_grad=True)
    watch(actor=actor, q1=q1, q2=q2)
    opt_actor = torch.optim.Adam(actor.parameters(), lr=3e-4)
    opt_q = torch.optim.Adam([*q1.parameters(), *q2.parameters()], lr=3e-4)
    opt_alpha = torch.optim.Adam([log_alpha], lr=3e-4)
    losses = []
    for _ in range(10):
        state, action, after = torch.randn(16, 3), torch.rand(16, 2) * 2 - 1, torch.randn(16, 3)
        reward, alpha = torch.randn(16, 1), log_alpha.exp().detach()
        with torch.no_grad():
            next_action, next_log = actor(after)
            pair = torch.cat([after, next_action], -1)
            goal = reward + 0.99 * (torch.min(target1(pair), target2(pair)) - alpha * next_log)
        pair = torch.cat([state, action], -1)
        loss_q = fn.mse_loss(q1(pair), goal) + fn.mse_loss(q2(pair), goal)
        opt_q.zero_grad()
        loss_q.backward()
        opt_q.step()
        new, log_prob = actor(state)
        pair = torch.cat([state, new], -1)
        loss_actor = (alpha * log_prob - torch.min(q1(pair), q2(pair))).mean()
        opt_actor.zero_grad()
        loss_actor.backward()
        opt_actor.step()
        loss_alpha = -(log_alpha * (log_prob - 2).detach()).mean()
        opt_alpha.zero_grad()
        loss_alpha.backward()
        opt_alpha.step()
        for net, target in ((q1, target1), (q2, target2)):
            for p, t in zip(net.parameters(), target.parameters(), strict=True):
                t.data.mul_(0.995).add_(0.005 * p.data)
        losses.append(loss_q.item())
    return losses


def dqn(watch: Watch) -> list[float]:
    q_net = mlp(4, 32, 3)
    target = mlp(4, 32, 3)
    target.load_state_dict(q_net.state_dict())
    target.eval()
    watch(q_net=q_net)
    optimizer = torch.optim.RMSprop(q_net.parameters(), lr=1e-3)
    memory: deque[tuple[np.ndarray, int, float, np.ndarray, bool]] = deque(maxlen=100)
    rng = np.random.default_rng(0)
    state = rng.normal(size=4).astype(np.float32)
    losses = []
    for step in range(30):
        with torch.no_grad():
            action = random.randrange(3) if step < 10 else int(q_net(torch.from_numpy(state)).argmax().item())
        after = rng.normal(size=4).astype(np.float32)
        memory.append((state, action, float(action == 0), after, step % 7 == 6))
        state = after
        if len(memory) < 16:
            continue
        s, a, r, n, d = zip(*random.sample(list(memory), 16), strict=True)
        states, afters = torch.from_numpy(np.stack(s)), torch.from_numpy(np.stack(n))
        value = q_net(states).gather(1, torch.tensor(a)[:, None]).squeeze(1)
        best = target(afters).max(1)[0].detach()
        goal = torch.tensor(r) + 0.9 * best * (1 - torch.tensor(d, dtype=torch.float32))
        loss = fn.smooth_l1_loss(value, goal)
        optimizer.zero_grad()
        loss.backward()
        for p in q_net.parameters():
            p.grad.data.clamp_(-1, 1)
        optimizer.step()
        if step % 5 == 0:
            target.load_state_dict(q_net.state_dict())
        losses.append(loss.item())
    return losses


def delayed_actor(watch: Watch) -> list[float]:
    actor, q1, q2 = mlp(3, 32, 2), mlp(5, 32, 1), mlp(5, 32, 1)
    actor_target, q1_target, q2_target = copy.deepcopy(actor), copy.deepcopy(q1), copy.deepcopy(q2)
    watch(actor=actor, q1=q1, q2=q2)
    opt_actor = torch.optim.Adam(actor.parameters(), lr=1e-3)
    opt_q = torch.optim.Adam([*q1.parameters(), *q2.parameters()], lr=1e-3)
    losses = []
    for step in range(16):
        state, action, reward, after = torch.randn(16, 3), torch.rand(16, 2), torch.randn(16, 1), torch.randn(16, 3)
        with torch.no_grad():
            noise = (torch.randn(16, 2) * 0.2).clamp(-0.5, 0.5)
            pair = torch.cat([after, (torch.tanh(actor_target(after)) + noise).clamp(-1, 1)], 1)
            goal = reward + 0.99 * torch.min(q1_target(pair), q2_target(pair))
        pair = torch.cat([state, action], 1)
        loss = fn.mse_loss(q1(pair), goal) + fn.mse_loss(q2(pair), goal)
        opt_q.zero_grad()
        loss.backward()
        opt_q.step()
        if step % 2 == 0:
            loss_actor = -q1(torch.cat([state, torch.tanh(actor(state))], 1)).mean()
            opt_actor.zero_grad()
            loss_actor.backward()
            opt_actor.step()
            for net, slow in ((actor, actor_target), (q1, q1_target), (q2, q2_target)):
                for p, t in zip(net.parameters(), slow.parameters(), strict=True):
                    t.data.copy_(0.005 * p.data + 0.995 * t.data)
        losses.append(loss.item())
    return losses


def reparameterised_policy_through_a_world_model(watch: Watch) -> list[float]:
    world, policy = mlp(5, 32, 3), _Gaussian()
    watch(world=world, policy=policy)
    opt_world = torch.optim.Adam(world.parameters(), lr=1e-3)
    opt_policy = torch.optim.Adam(policy.parameters(), lr=1e-3)
    losses = []
    for _ in range(8):
        state, action, after = torch.randn(32, 3), torch.rand(32, 2), torch.randn(32, 3)
        loss = fn.mse_loss(world(torch.cat([state, action], 1)), after)
        opt_world.zero_grad()
        loss.backward()
        opt_world.step()
        imagined, reward = state, torch.zeros(32)
        for _ in range(4):
            act, _ = policy(imagined)
            imagined = world(torch.cat([imagined, act], 1))
            reward = reward - imagined.pow(2).sum(1)
        opt_policy.zero_grad()
        (-reward.mean()).backward()
        opt_policy.step()
        losses.append(loss.item())
    return losses


def direct_preference_optimisation(watch: Watch) -> list[float]:
    policy = nn.Sequential(nn.Embedding(20, 16), nn.Linear(16, 20))
    reference = copy.deepcopy(policy).eval()
    watch(policy=policy)
    optimizer = torch.optim.AdamW(policy.parameters(), lr=1e-3)

    def log_prob(model: nn.Module, tokens: torch.Tensor) -> torch.Tensor:
        logits = fn.log_softmax(model(tokens[:, :-1]), -1)
        return logits.gather(-1, tokens[:, 1:, None]).squeeze(-1).sum(-1)

    losses = []
    for _ in range(8):
        good, bad = torch.randint(0, 20, (8, 6)), torch.randint(0, 20, (8, 6))
        with torch.no_grad():
            base = log_prob(reference, good) - log_prob(reference, bad)
        loss = -fn.logsigmoid(0.1 * (log_prob(policy, good) - log_prob(policy, bad) - base)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses
