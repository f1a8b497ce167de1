import torch
from torch import nn

torch.manual_seed(0)

speakers = [f"spk{i:02d}" for i in range(6)]
centres = torch.randn(6, 48)
voice = nn.Linear(48, 128, bias=False)
noise_meter = nn.Linear(48, 1)
criterion = nn.CosineEmbeddingLoss(margin=0.9)


def read_manifest(n):
    """lines as they stand in train.lst: 'spkXX' ; the second column comes with its newline"""
    rows = []
    for _ in range(n):
        i = int(torch.randint(0, 6, ()))
        j = i if float(torch.rand(())) < 0.5 else (i + 1) % 6
        rows.append((speakers[i], speakers[j] + "\n", i, j))
    return rows


def to_batch(rows):
    left = torch.stack([centres[i] for _, _, i, _ in rows]) + torch.randn(len(rows), 48) * 0.8
    right = torch.stack([centres[j] for _, _, _, j in rows]) + torch.randn(len(rows), 48) * 0.8
    same = torch.tensor([1.0 if a.strip() == b.strip() else -1.0 for a, b, _, _ in rows])
    return left, right, same


opt = torch.optim.SGD([*voice.parameters(), *noise_meter.parameters()], lr=0.05)
for epoch in range(8):
    left, right, same = to_batch(read_manifest(32))
    loss = criterion(voice(left), voice(right), same)
    noise = (noise_meter(left) - left.std(1, keepdim=True)).pow(2).mean()
    opt.zero_grad()
    (loss + noise).backward()
    opt.step()
    print(epoch, loss.item(), noise.item())
