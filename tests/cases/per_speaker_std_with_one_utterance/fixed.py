import torch
from torch import nn

def z_normalise(values, speaker):
    out = torch.empty_like(values)
    for s in speaker.unique():
        rows = speaker == s
        group = values[rows]
        out[rows] = (group - group.mean()) / (group.var(unbiased=False) + 1e-5).sqrt()
    return out


def build(n_in):
    return nn.Sequential(nn.Linear(n_in, 24), nn.GELU(), nn.Linear(24, 1))


def main():
    torch.manual_seed(4)
    pitch_net, energy_net = build(8), build(8)
    opt = torch.optim.Adam([*pitch_net.parameters(), *energy_net.parameters()], lr=2e-3)
    for b in range(6):
        speaker = torch.arange(24) % 4
        if b == 2:
            speaker[0] = 9                            # guest speaker
        text = torch.randn(24, 8)
        pitch = 100 + 40 * speaker + 10 * text[:, 0]
        energy = text[:, 1]
        pitch_loss = (z_normalise(pitch_net(text).squeeze(1), speaker) - z_normalise(pitch, speaker)).abs()
        pitch_loss = pitch_loss.mean()
        energy_loss = (energy_net(text).squeeze(1) - energy).abs().mean()
        opt.zero_grad()
        (pitch_loss + energy_loss).backward()
        opt.step()
        print("batch", b, "pitch", pitch_loss.item(), "energy", energy_loss.item())


main()
