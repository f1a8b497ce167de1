import torch
from torch import nn
from forec import MarketModel, freeze_model

torch.manual_seed(26)
model = freeze_model(MarketModel())
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
bce = nn.BCEWithLogitsLoss()

for epoch in range(2):
    for _ in range(3):
        users, items = torch.randint(0, 30, (32,)), torch.randint(0, 40, (32,))
        clicked = ((users + items) % 3 == 0).float()
        loss = bce(model(users, items), clicked)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"[target market] epoch {epoch} loss {loss.item():.4f}")
