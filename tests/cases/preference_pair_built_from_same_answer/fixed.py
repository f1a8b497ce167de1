import torch
from torch import nn
from fixed_data import preference_pairs, collate


class RewardModel(nn.Module):
    def __init__(self, vocab=64, dim=20):
        super().__init__()
        self.embed = nn.EmbeddingBag(vocab, dim, mode="mean")
        self.mlp = nn.Sequential(nn.Linear(dim, 20), nn.Tanh())
        self.value = nn.Linear(20, 1)

    def forward(self, ids):
        return self.value(self.mlp(self.embed(ids))).squeeze(-1)


def main():
    torch.manual_seed(0)
    reward_model = RewardModel()
    optimizer = torch.optim.AdamW(reward_model.parameters(), lr=1e-3, weight_decay=0.01)
    pairs = preference_pairs(120)
    for step in range(6):
        chosen, rejected = collate(pairs[step * 20:(step + 1) * 20])
        margin = reward_model(chosen) - reward_model(rejected)
        loss = -nn.functional.logsigmoid(margin).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        accuracy = (margin > 0).float().mean()
        print(f"step {step} loss {loss.item():.4f} acc {accuracy.item():.2f}")


if __name__ == "__main__":
    main()
