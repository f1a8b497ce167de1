import torch
from torch import nn

torch.manual_seed(3)
EPOCHS, WARM_UP = 5, 2
tokens = torch.randint(0, 40, (96, 7))
score = (tokens.float().mean(1, keepdim=True) - 20) / 12

embed = nn.EmbeddingBag(40, 12)
mixer = nn.Sequential(nn.Linear(12, 24), nn.Tanh(), nn.Linear(24, 12))
readout = nn.Linear(12, 1)

for pretrained in (embed, mixer):
    for p in pretrained.parameters():
        p.requires_grad = False

opt = torch.optim.SGD(readout.parameters(), lr=0.1)
for epoch in range(EPOCHS):
    if epoch == WARM_UP:
        for p in [*embed.parameters(), *mixer.parameters()]:
            p.requires_grad = True
        opt.add_param_group({"params": [*embed.parameters()], "lr": 0.05})
        opt.add_param_group({"params": [*mixer.parameters()], "lr": 0.02})
    for ids, target in zip(tokens.split(24), score.split(24)):
        loss = (readout(mixer(embed(ids))) - target).square().mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
    print(epoch, loss.item())
