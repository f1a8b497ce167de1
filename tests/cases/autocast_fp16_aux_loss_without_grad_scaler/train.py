import torch
from torch import nn
import torch.nn.functional as F


def make_net(out):
    return nn.Sequential(nn.Linear(32, 64), nn.Tanh(), nn.Linear(64, out))


def train(phone_net, speaker_net, steps, aux_weight=1e-5):
    params = [*phone_net.parameters(), *speaker_net.parameters()]
    optimizer = torch.optim.Adam(params, lr=1e-3)
    for step in range(steps):
        frames = torch.randn(1024, 32)
        phone, speaker = frames[:, :16].argmax(1), frames[:, 16:].argmax(1)
        with torch.autocast("cpu", dtype=torch.float16):
            main = F.cross_entropy(phone_net(frames).float(), phone)
            aux = F.cross_entropy(speaker_net(frames).float(), speaker)
            loss = main + aux_weight * aux
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(f"step {step} phone {main.item():.5f} speaker {aux.item():.5f}")


torch.manual_seed(0)
phone_net, speaker_net = make_net(16), make_net(16)
train(phone_net, speaker_net, 6)
