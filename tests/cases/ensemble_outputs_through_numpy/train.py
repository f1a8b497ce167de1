import torch
from models import ImplicitNet


def make_batch(n=4, q=30):
    img = torch.rand(n, 1, 8, 8)
    coord = torch.rand(n, q, 2) * 2 - 1
    phase = torch.nn.functional.grid_sample(img, coord.unsqueeze(1), align_corners=False).reshape(n, q)
    return img, coord, torch.sin(3 * phase)


def train(net, steps=6):
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    for step in range(steps):
        img, coord, target = make_batch()
        loss = (net(img, coord) - target).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(f"[{step}] L1 {loss.item():.4f}")


torch.manual_seed(6)
net = ImplicitNet()
train(net)
