import torch
from torch import nn
from speech import SpeechModel

torch.manual_seed(0)
args = {"feature_grad_mult": 0.0, "dim": 24, "vocab": 12, "lr": 5e-4, "pretrain_from_scratch": True}

model = SpeechModel(args["dim"], args["vocab"], args["feature_grad_mult"])
optimizer = torch.optim.AdamW(model.parameters(), lr=args["lr"])

for update in range(8):
    wave = torch.randn(6, 1, 320)
    units = (wave.view(6, 20, 16).mean(-1) > 0).long() * 3 + torch.arange(20) % 3
    logits = model(wave)
    loss = nn.functional.cross_entropy(logits.flatten(0, 1), units.flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print("update", update, "nll", f"{loss.item():.3f}")
