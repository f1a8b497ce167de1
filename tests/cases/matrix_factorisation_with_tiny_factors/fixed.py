import torch
from torch import nn

torch.manual_seed(0)
users, items, bias = nn.Embedding(40, 6), nn.Embedding(60, 6), nn.Embedding(60, 1)
for table in (users, items):
    nn.init.normal_(table.weight, std=0.3)
nn.init.zeros_(bias.weight)
sgd = torch.optim.SGD([*users.parameters(), *items.parameters(), *bias.parameters()], lr=1.0)

taste, genre = torch.randn(40, 3), torch.randn(60, 3)
ratings = 3.0 + taste @ genre.T * 0.5


def predict(u, i):
    return (users(u) * items(i)).sum(-1) + bias(i).squeeze(-1)


for epoch in range(3):
    for _ in range(3):
        u, i = torch.randint(0, 40, (256,)), torch.randint(0, 60, (256,))
        loss = (predict(u, i) - ratings[u, i]).pow(2).mean()
        sgd.zero_grad()
        loss.backward()
        sgd.step()
    print(f"epoch {epoch} mse {loss.item():.4f}")
