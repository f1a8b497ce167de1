import torch
from torch import nn
from fixed_net import XVector

torch.manual_seed(0)
xvector = XVector(n_speakers=5)
vad = nn.Linear(10, 1)
optimizer = torch.optim.SGD([*xvector.parameters(), *vad.parameters()], lr=0.02, momentum=0.9)


def get_batch(i, size=12, frames=20):
    speaker = torch.randint(0, 5, (size,))
    feats = torch.randn(size, 10, frames) * (1 + speaker.view(-1, 1, 1) / 3)
    if i == 4:
        feats[7] = 0.0                      # microphone was muted
    return feats, speaker


for i in range(7):
    feats, speaker = get_batch(i)
    speech = (feats.abs().amax(1) > 0).float()
    spk_loss = nn.functional.cross_entropy(xvector(feats), speaker)
    vad_loss = nn.functional.binary_cross_entropy_with_logits(vad(feats.transpose(1, 2)).squeeze(-1), speech)
    optimizer.zero_grad()
    (spk_loss + vad_loss).backward()
    optimizer.step()
    print(f"batch {i} speaker {spk_loss.item():.4f} vad {vad_loss.item():.4f}")
