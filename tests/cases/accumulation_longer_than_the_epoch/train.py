import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

ACCUMULATE = 8

torch.manual_seed(149)
genes = torch.rand(48, 20)
response = (genes[:, :3].sum(1) > 1.5).float()
loader = DataLoader(TensorDataset(genes, response), batch_size=12, shuffle=True)

pathway_net = nn.Sequential(nn.Linear(20, 16), nn.ReLU())
drug_head = nn.Linear(16, 1)
optimizer = torch.optim.AdamW([*pathway_net.parameters(), *drug_head.parameters()], lr=1e-3)

for epoch in range(3):
    optimizer.zero_grad()
    for i, (x, y) in enumerate(loader):
        logit = drug_head(pathway_net(x)).squeeze(-1)
        loss = nn.functional.binary_cross_entropy_with_logits(logit, y) / ACCUMULATE
        loss.backward()
        if (i + 1) % ACCUMULATE == 0:
            optimizer.step()
            optimizer.zero_grad()
    print("epoch", epoch, "loss", round(loss.item() * ACCUMULATE, 4))
