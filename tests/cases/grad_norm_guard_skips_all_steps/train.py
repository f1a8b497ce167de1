import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(19)


class Tokenizer(nn.Module):
    def __init__(self, patch=4, dim=24):
        super().__init__()
        self.patch = patch
        self.proj = nn.Linear(patch * patch + 3, dim)

    def forward(self, views, poses):
        tokens = F.unfold(views, self.patch, stride=self.patch).transpose(1, 2)
        return self.proj(torch.cat([tokens, poses[:, None].expand(-1, tokens.shape[1], -1)], dim=-1))


class Renderer(nn.Module):
    def __init__(self, patch=4, dim=24):
        super().__init__()
        self.query = nn.Linear(3, dim)
        self.block = nn.TransformerEncoderLayer(dim, 2, 48, dropout=0.0, batch_first=True)
        self.out = nn.Linear(dim, patch * patch)

    def forward(self, tokens, target_pose):
        h = self.block(tokens + self.query(target_pose)[:, None])
        return self.out(h).transpose(1, 2)


class Trainer:
    allowed_norm = 0.05
    clip = 1.0

    def __init__(self):
        self.tokenizer, self.renderer = Tokenizer(), Renderer()
        self.params = [*self.tokenizer.parameters(), *self.renderer.parameters()]
        self.optimizer = torch.optim.AdamW(self.params, lr=5e-4, betas=(0.9, 0.95))
        self.fwd_steps = self.update_steps = 0

    def forward_loss(self, batch):
        tokens = self.tokenizer(batch["views"], batch["poses"])
        patches = self.renderer(tokens, batch["target_pose"])
        pred = F.fold(patches, (16, 16), 4, stride=4)
        return F.mse_loss(pred, batch["target"])

    def train_step(self, batch):
        self.fwd_steps += 1
        loss = self.forward_loss(batch)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.params, self.clip)
        if not torch.isfinite(norm) or norm > self.allowed_norm:
            return loss.item(), norm.item()
        self.optimizer.step()
        self.update_steps += 1
        return loss.item(), norm.item()


def make_batch(n=6):
    base = F.interpolate(torch.rand(n, 1, 4, 4), size=20, mode="bicubic", align_corners=False)
    shift = torch.randint(0, 4, (n,))
    target = torch.stack([b[:, :16, s:s + 16] for b, s in zip(base, shift.tolist())])
    target_pose = torch.stack([shift / 4, torch.zeros(n), torch.ones(n)], dim=1)
    return {"views": base[..., :16, :16], "poses": torch.zeros(n, 3), "target": target, "target_pose": target_pose}


trainer = Trainer()
for _ in range(6):
    loss, norm = trainer.train_step(make_batch())
    print(f"fwd {trainer.fwd_steps} updates {trainer.update_steps} loss {loss:.4f} grad norm {norm:.3f}")
