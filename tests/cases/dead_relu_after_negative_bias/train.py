import torch
from torch import nn
import torch.nn.functional as F


class UserTower(nn.Module):
    def __init__(self, n_features, dim):
        super().__init__()
        self.fc1 = nn.Linear(n_features, 48)
        self.fc2 = nn.Linear(48, dim)
        for fc in (self.fc1, self.fc2):
            nn.init.constant_(fc.bias, -6.0)

    def forward(self, x):
        h = F.relu(self.fc1(x))
        return F.relu(self.fc2(h))


class ItemTower(nn.Module):
    def __init__(self, n_items, dim):
        super().__init__()
        self.table = nn.Embedding(n_items, dim)
        self.bias = nn.Embedding(n_items, 1)

    def forward(self, idx):
        return self.table(idx), self.bias(idx).squeeze(-1)


class Trainer:
    def __init__(self, n_features=10, n_items=30, dim=12):
        self.user_tower = UserTower(n_features, dim)
        self.item_tower = ItemTower(n_items, dim)
        self.optim = torch.optim.Adam(
            [*self.user_tower.parameters(), *self.item_tower.parameters()], lr=3e-3
        )

    def train_batch(self, profile, item, clicked):
        vec, bias = self.item_tower(item)
        score = (self.user_tower(profile) * vec).sum(-1) + bias
        loss = F.binary_cross_entropy_with_logits(score, clicked)
        self.optim.zero_grad()
        loss.backward()
        self.optim.step()
        return loss.item()


if __name__ == "__main__":
    torch.manual_seed(11)
    trainer = Trainer()
    for batch in range(8):
        profile = torch.rand(64, 10)
        item = torch.randint(0, 30, (64,))
        clicked = ((item % 2 == 0) & (profile[:, 0] > 0.3)).float()
        print(f"batch {batch}: bce {trainer.train_batch(profile, item, clicked):.4f}")
