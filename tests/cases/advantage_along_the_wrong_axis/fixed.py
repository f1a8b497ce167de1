from dataclasses import dataclass, field

import torch
from policy import TokenPolicy


@dataclass
class GRPOConfig:
    vocab: int = 16
    prompts: int = 6
    num_generations: int = 8
    length: int = 5
    clip: float = 0.2
    lr: float = 1e-2
    steps: int = 12
    seed: int = 3857


def reward_small_tokens(completions):
    return (completions < 4).float().mean(dim=1)


def reward_no_repeat(completions):
    return (completions[:, 1:] != completions[:, :-1]).float().mean(dim=1)


@dataclass
class GRPOTrainer:
    policy: TokenPolicy
    cfg: GRPOConfig
    reward_funcs: tuple = (reward_small_tokens, reward_no_repeat)
    history: list = field(default_factory=list)

    def __post_init__(self):
        self.optimizer = torch.optim.Adam(self.policy.parameters(), lr=self.cfg.lr)

    def score(self, ids):
        completions = ids[:, -self.cfg.length:]
        return sum(f(completions) for f in self.reward_funcs)

    def advantages(self, rewards):
        grouped = rewards.view(-1, 1, self.cfg.num_generations)
        centered = grouped - grouped.mean(dim=2, keepdim=True)
        return (centered / (grouped.std(dim=2, keepdim=True) + 1e-4)).flatten()

    def step(self):
        prompts = torch.randint(0, self.cfg.vocab, (self.cfg.prompts, 3))
        ids = self.policy.generate(prompts.repeat_interleave(self.cfg.num_generations, dim=0), self.cfg.length)
        rewards = self.score(ids)
        adv = self.advantages(rewards).unsqueeze(1)
        logps = self.policy.token_logps(ids, self.cfg.length)
        ratio = torch.exp(logps - logps.detach())
        surrogate = torch.min(ratio * adv, ratio.clamp(1 - self.cfg.clip, 1 + self.cfg.clip) * adv)
        loss = -surrogate.mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.history.append(rewards.mean().item())


cfg = GRPOConfig()
torch.manual_seed(cfg.seed)
policy = TokenPolicy(cfg.vocab)
trainer = GRPOTrainer(policy, cfg)
for i in range(cfg.steps):
    trainer.step()
    print(f"step {i} reward {trainer.history[-1]:.3f}")
