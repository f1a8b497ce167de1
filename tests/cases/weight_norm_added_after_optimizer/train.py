import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

torch.manual_seed(109)


def add_weight_norm(net):
    for m in net.modules():
        if isinstance(m, nn.Conv1d):
            weight_norm(m)
    return net


synth = nn.Sequential(nn.Conv1d(4, 12, 3, padding=1), nn.Tanh(), nn.Conv1d(12, 1, 3, padding=1))
judge = nn.Sequential(nn.Conv1d(1, 12, 5, stride=2), nn.LeakyReLU(0.1), nn.Conv1d(12, 1, 5))
optim_s = torch.optim.AdamW(synth.parameters(), lr=1e-3)
optim_j = torch.optim.AdamW(judge.parameters(), lr=1e-3)
add_weight_norm(synth)

for it in range(5):
    mel = torch.randn(6, 4, 24)
    wave = mel.mean(1, keepdim=True)
    fake = synth(mel)

    judge.zero_grad()
    loss_j = (judge(wave) - 1).pow(2).mean() + judge(fake.detach()).pow(2).mean()
    loss_j.backward()
    optim_j.step()

    synth.zero_grad()
    loss_s = (judge(fake) - 1).pow(2).mean() + (fake - wave).abs().mean()
    loss_s.backward()
    optim_s.step()
    print(f"it {it} judge {loss_j.item():.4f} synth {loss_s.item():.4f}")
