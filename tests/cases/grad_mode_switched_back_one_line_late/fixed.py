import torch
import torch.nn as nn

torch.manual_seed(12)

IMG, D = 64, 24
backbone = nn.Sequential(nn.Linear(IMG, 48), nn.ReLU(), nn.Linear(48, D)).requires_grad_(False)
prompt_pool = nn.Sequential(nn.Linear(D, 12), nn.GELU(), nn.Linear(12, D))
decoder = nn.Linear(D, IMG)


def forward_pass(x):
    # the backbone is frozen: do not build a graph for it
    torch.set_grad_enabled(False)
    tokens = backbone(x)
    torch.set_grad_enabled(True)
    tokens = tokens + prompt_pool(tokens)
    return decoder(tokens)


optimizer = torch.optim.AdamW(
    [
        {"params": prompt_pool.parameters(), "lr": 5e-3},
        {"params": decoder.parameters(), "lr": 1e-3},
    ],
    weight_decay=0.01,
)

for epoch in range(3):
    for _ in range(2):
        x = torch.rand(16, IMG)
        loss = (forward_pass(x) - x).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print("epoch", epoch, "masked reconstruction", round(loss.item(), 5))
