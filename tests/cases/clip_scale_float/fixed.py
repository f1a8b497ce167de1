import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(5)
rng = np.random.default_rng(5)


class Tower(nn.Sequential):
    def __init__(self, n_in, n_out):
        super().__init__(nn.Linear(n_in, 48), nn.GELU(), nn.LayerNorm(48), nn.Linear(48, n_out))


class CLIP(nn.Module):
    def __init__(self, n_image, n_text, dim=16):
        super().__init__()
        self.image_tower = Tower(n_image, dim)
        self.text_tower = Tower(n_text, dim)
        self.logit_scale = nn.Parameter(torch.tensor(np.log(1 / 0.07), dtype=torch.float32))

    def logits(self, image, text):
        a = F.normalize(self.image_tower(image), dim=-1)
        b = F.normalize(self.text_tower(text), dim=-1)
        scale = self.logit_scale.exp().clamp(max=100.0)
        per_image = scale * a @ b.t()
        return per_image, per_image.t()


def symmetric_ce(per_image, per_text):
    labels = torch.arange(len(per_image))
    return (F.cross_entropy(per_image, labels) + F.cross_entropy(per_text, labels)) / 2


def pairs(n):
    concept = rng.normal(size=(n, 10)).astype("float32")
    image = np.concatenate([concept, concept ** 2], 1)
    text = np.tanh(concept @ np.ones((10, 12), dtype="float32") / 3 + concept[:, :1])
    return torch.from_numpy(image), torch.from_numpy(text.astype("float32"))


clip = CLIP(20, 12)
decay = [p for p in clip.parameters() if p.ndim >= 2]
no_decay = [p for p in clip.parameters() if p.ndim < 2]
opt = torch.optim.AdamW([{"params": decay, "weight_decay": 0.1},
                         {"params": no_decay, "weight_decay": 0.0}], lr=2e-3)
for it in range(10):
    loss = symmetric_ce(*clip.logits(*pairs(32)))
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(it, f"loss {loss.item():.4f}", f"temperature {clip.logit_scale.exp().item():.4f}")
