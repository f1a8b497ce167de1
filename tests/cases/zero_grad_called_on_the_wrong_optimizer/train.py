import torch
from torch import nn
import torch.nn.functional as F


class ImageTower(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(20, 24), nn.ReLU(), nn.Linear(24, 8))

    def forward(self, x):
        return F.normalize(self.net(x), dim=-1)


class RecipeTower(nn.Module):
    def __init__(self):
        super().__init__()
        self.ingredients = nn.EmbeddingBag(60, 16)
        self.proj = nn.Linear(16, 8)

    def forward(self, bag):
        return F.normalize(self.proj(self.ingredients(bag)), dim=-1)


torch.manual_seed(135)
image_tower, recipe_tower = ImageTower(), RecipeTower()
image_opt = torch.optim.SGD(image_tower.parameters(), lr=0.1)
recipe_opt = torch.optim.SGD(recipe_tower.parameters(), lr=0.1)

for step in range(6):
    images, recipes = torch.randn(16, 20), torch.randint(0, 60, (16, 4))
    sim = image_tower(images) @ recipe_tower(recipes).t()
    loss = F.cross_entropy(sim * 5, torch.arange(16))
    image_opt.zero_grad()
    image_opt.zero_grad()
    loss.backward()
    image_opt.step()
    recipe_opt.step()
    print(f"{step}: retrieval loss {loss.item():.4f}")
