import torch
from torch import nn

torch.manual_seed(0)
table = nn.EmbeddingBag(5000, 8, mode="sum", sparse=True)
dense = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1))
sparse_opt = torch.optim.SparseAdam(list(table.parameters()), lr=1e-2)
dense_opt = torch.optim.Adam(dense.parameters(), lr=1e-2)

for step in range(8):
    ids = (torch.rand(64, 4) ** 3 * 5000).long()
    clicked = (ids.sum(1) % 2 == 0).float()
    logit = dense(table(ids)).squeeze(1)
    loss = nn.functional.binary_cross_entropy_with_logits(logit, clicked)
    sparse_opt.zero_grad()
    dense_opt.zero_grad()
    loss.backward()
    sparse_opt.step()
    dense_opt.step()
    print("step", step, "loss", loss.item())
