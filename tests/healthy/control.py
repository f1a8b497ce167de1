"""Correct loops of control and of learning from values: deterministic actors, curiosity, imitation, planning."""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.nn import functional as fn

from tests.healthy.parts import Watch, mlp, update


def _transitions() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    return torch.randn(32, 4), torch.rand(32, 2) * 2 - 1, torch.randn(32, 1), torch.randn(32, 4)


def _blend(slow: nn.Module, fast: nn.Module, tau: float = 0.05) -> None:
    for s, f in zip(slow.parameters(), fast.parameters(), strict=True):
        s.data.copy_(tau * f.data + (1 - tau) * s.data)


def deterministic_policy_gradient(watch: Watch) -> list[float]:
    actor, critic = nn.Sequential(mlp(4, 16, 2), nn.Tanh()), mlp(6, 32, 1)
    actor_target, critic_target = copy.deepcopy(actor), copy.deepcopy(critic)
    watch(actor=actor, critic=critic)
    opt_actor = torch.optim.Adam(actor.parameters(), lr=1e-4)
    opt_critic = torch.optim.Adam(critic.parameters(), lr=1e-3, weight_decay=1e-2)
    losses = []
    for _ in range(10):
        s, a, r, after = _transitions()
        goal = critic_target(torch.cat([after, actor_target(after)], 1)).detach()
        losses.append(update(opt_critic, fn.mse_loss(critic(torch.cat([s, a], 1)), r + 0.99 * goal)))
        update(opt_actor, -critic(torch.cat([s, actor(s)], 1)).mean())
        _blend(actor_target, actor)
        _blend(critic_target, critic)
    return losses


def actor_critic_with_shared_trunk(watch: Watch) -> list[float]:
    trunk, policy, value = mlp(4, 16, 16), nn.Linear(16, 3), nn.Linear(16, 1)
    watch(trunk=trunk, policy=policy, value=value)
    optimizer = torch.optim.RMSprop([*trunk.parameters(), *policy.parameters(), *value.parameters()], lr=1e-3)
    losses, state = [], torch.randn(8, 4)
    for _ in range(8):
        log_chances, values, rewards, entropy = [], [], [], torch.zeros(())
        for _ in range(4):
            hidden = trunk(state)
            chance = torch.distributions.Categorical(logits=policy(hidden))
            action = chance.sample()
            log_chances.append(chance.log_prob(action))
            entropy = entropy + chance.entropy().mean()
            values.append(value(hidden).squeeze(1))
            state = 0.9 * state + 0.1 * torch.randn(8, 4) + 0.1 * action[:, None]
            rewards.append(-state.pow(2).sum(1))
        with torch.no_grad():
            back = value(trunk(state)).squeeze(1)
        returns = []
        for reward in reversed(rewards):
            back = reward + 0.95 * back
            returns.insert(0, back)
        gain = torch.stack(returns) - torch.stack(values)
        loss = -(torch.stack(log_chances) * gain.detach()).mean() + 0.5 * gain.pow(2).mean() - 0.01 * entropy
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_([*trunk.parameters(), *policy.parameters()], 0.5)
        optimizer.step()
        losses.append(loss.item())
    return losses


def unrolled_model_with_scaled_gradients(watch: Watch) -> list[float]:
    represent, dynamics, predict = mlp(4, 16, 8), mlp(9, 16, 8), mlp(8, 16, 2)
    watch(represent=represent, dynamics=dynamics, predict=predict)
    optimizer = torch.optim.SGD(
        [*represent.parameters(), *dynamics.parameters(), *predict.parameters()], lr=0.05, momentum=0.9
    )
    losses = []
    for _ in range(8):
        hidden, loss = represent(torch.randn(16, 4)), torch.zeros(())
        for step in range(4):
            guess = predict(hidden)
            if step:
                guess.register_hook(lambda grad: grad / 3)
            loss = loss + fn.mse_loss(guess, torch.randn(16, 2))
            hidden = dynamics(torch.cat([hidden, torch.randn(16, 1)], 1))
            hidden.register_hook(lambda grad: grad * 0.5)
        losses.append(update(optimizer, loss))
    return losses


def curiosity_by_a_fixed_random_network(watch: Watch) -> list[float]:
    target, predictor, policy = mlp(4, 16, 8), mlp(4, 16, 8), mlp(4, 16, 3)
    for p in target.parameters():
        p.requires_grad = False
    watch(predictor=predictor, policy=policy)
    optimizer = torch.optim.Adam([*policy.parameters(), *predictor.parameters()], lr=1e-3)
    losses = []
    for _ in range(8):
        s = torch.randn(32, 4)
        chance = torch.distributions.Categorical(logits=policy(s))
        novelty = (predictor(s) - target(s)).pow(2).mean(1)
        keep = (torch.rand(32) < 0.5).float()
        loss = -(chance.log_prob(chance.sample()) * novelty.detach()).mean()
        losses.append(update(optimizer, loss + (novelty * keep).sum() / keep.sum().clamp(min=1)))
    return losses


def inverse_and_forward_model(watch: Watch) -> list[float]:
    feature, inverse, forward = mlp(4, 16, 8), mlp(16, 16, 3), mlp(11, 16, 8)
    watch(feature=feature, inverse=inverse, forward=forward)
    optimizer = torch.optim.Adam([*feature.parameters(), *inverse.parameters(), *forward.parameters()], lr=1e-3)
    losses = []
    for _ in range(8):
        s, action = torch.randn(32, 4), torch.randint(0, 3, (32,))
        one, two = feature(s), feature(s + action[:, None])
        guess = forward(torch.cat([one.detach(), fn.one_hot(action, 3).float()], 1))
        loss = 0.8 * fn.cross_entropy(inverse(torch.cat([one, two], 1)), action)
        losses.append(update(optimizer, loss + 0.2 * fn.mse_loss(guess, two.detach())))
    return losses


def imitation_by_a_discriminator(watch: Watch) -> list[float]:
    policy, judge = mlp(4, 16, 2), mlp(6, 16, 1)
    log_std = nn.Parameter(torch.zeros(2))
    watch(policy=policy, judge=judge, log_std=[log_std])
    opt_policy = torch.optim.Adam([*policy.parameters(), log_std], lr=1e-3)
    opt_judge = torch.optim.Adam(judge.parameters(), lr=1e-3)
    losses = []
    for _ in range(8):
        s, expert = torch.randn(32, 4), torch.randn(32, 2)
        chance = torch.distributions.Normal(policy(s), log_std.exp())
        action = chance.sample()
        real, made = judge(torch.cat([s, expert], 1)), judge(torch.cat([s, action], 1))
        losses.append(update(opt_judge, (fn.softplus(-real) + fn.softplus(made)).mean()))
        with torch.no_grad():
            reward = -fn.logsigmoid(-judge(torch.cat([s, action], 1))).squeeze(1)
        update(opt_policy, -(chance.log_prob(action).sum(1) * (reward - reward.mean())).mean())
    return losses


def conservative_q_learning(watch: Watch) -> list[float]:
    q, target = mlp(4, 16, 3), mlp(4, 16, 3)
    target.load_state_dict(q.state_dict())
    watch(q=q)
    optimizer = torch.optim.Adam(q.parameters(), lr=1e-3)
    losses = []
    for step in range(10):
        s, _, r, after = _transitions()
        action = torch.randint(0, 3, (32, 1))
        with torch.no_grad():
            best = q(after).argmax(1, keepdim=True)
            goal = r + 0.9 * target(after).gather(1, best)
        values = q(s)
        mine = values.gather(1, action)
        gap = (torch.logsumexp(values, 1, keepdim=True) - mine).mean()
        losses.append(update(optimizer, fn.smooth_l1_loss(mine, goal) + 0.5 * gap))
        if step % 4 == 3:
            target.load_state_dict(q.state_dict())
    return losses


def two_agents_with_a_central_critic(watch: Watch) -> list[float]:
    actors, critic = nn.ModuleList(mlp(4, 16, 1) for _ in range(2)), mlp(10, 16, 1)
    watch(actors=actors, critic=critic)
    opt_actors = [torch.optim.Adam(a.parameters(), lr=1e-3) for a in actors]
    opt_critic = torch.optim.Adam(critic.parameters(), lr=1e-3)
    losses = []
    for _ in range(8):
        s = torch.randn(32, 8)
        acts = [torch.tanh(a(part)) for a, part in zip(actors, s.chunk(2, 1), strict=True)]
        joint = torch.cat([s, *(a.detach() for a in acts)], 1)
        losses.append(update(opt_critic, fn.mse_loss(critic(joint), -s.pow(2).sum(1, keepdim=True))))
        for i, optimizer in enumerate(opt_actors):
            mixed = [a if i == j else a.detach() for j, a in enumerate(acts)]
            update(optimizer, -critic(torch.cat([s, *mixed], 1)).mean())
    return losses


def preference_optimised_by_groups(watch: Watch) -> list[float]:
    policy = mlp(4, 32, 6)
    reference = copy.deepcopy(policy).eval()
    watch(policy=policy)
    optimizer = torch.optim.AdamW(policy.parameters(), lr=1e-3)
    losses = []
    for _ in range(4):
        prompt = torch.randn(4, 4).repeat_interleave(4, 0)
        with torch.no_grad():
            old = policy(prompt).log_softmax(-1)
            answer = torch.multinomial(old.exp(), 1)
            kept, anchor = old.gather(1, answer), reference(prompt).log_softmax(-1).gather(1, answer)
            reward = (answer.float() - prompt[:, :1]).abs().neg().view(4, 4)
            gain = ((reward - reward.mean(1, keepdim=True)) / (reward.std(1, keepdim=True) + 1e-4)).view(16, 1)
        for _ in range(2):
            new = policy(prompt).log_softmax(-1).gather(1, answer)
            ratio = (new - kept).exp()
            away = (anchor - new).exp() - (anchor - new) - 1
            loss = -(torch.min(ratio * gain, ratio.clamp(0.8, 1.2) * gain) - 0.04 * away).mean()
            losses.append(update(optimizer, loss))
    return losses


def world_model_actor_and_value(watch: Watch) -> list[float]:
    world, actor, value = mlp(5, 16, 4), mlp(4, 16, 1), mlp(4, 16, 1)
    watch(world=world, actor=actor, value=value)
    opt_world, opt_actor, opt_value = (torch.optim.Adam(m.parameters(), lr=1e-3) for m in (world, actor, value))
    losses = []
    for _ in range(8):
        s, a = torch.randn(16, 4), torch.randn(16, 1)
        losses.append(update(opt_world, fn.mse_loss(world(torch.cat([s, a], 1)), 0.9 * s + 0.1 * a)))
        for p in [*world.parameters(), *value.parameters()]:
            p.requires_grad = False
        at, seen, gain = s, [s], torch.zeros(16, 1)
        for t in range(3):
            at = world(torch.cat([at, torch.tanh(actor(at))], 1))
            seen.append(at)
            gain = gain + 0.9**t * (-at.pow(2).sum(1, keepdim=True))
        update(opt_actor, -(gain + 0.9**3 * value(at)).mean())
        for p in [*world.parameters(), *value.parameters()]:
            p.requires_grad = True
        update(opt_value, fn.mse_loss(value(seen[0].detach()), gain.detach()))
    return losses
