import torch
from torch import nn

torch.manual_seed(21)

sketch_net = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 32))
photo_net = nn.Sequential(nn.Linear(30, 64), nn.ReLU(), nn.Linear(64, 32))
style_head = nn.Linear(20, 3)
for net in (sketch_net, photo_net):
    nn.init.orthogonal_(net[2].weight, gain=2.0)
optimizer = torch.optim.Adam(
    [*sketch_net.parameters(), *photo_net.parameters(), *style_head.parameters()], lr=1e-3
)
proto_s, proto_p = torch.randn(6, 20), torch.randn(6, 30)


def contrastive(a, b, same, margin=1.0):
    d = (a - b).norm(dim=1)
    positive = same * d.pow(2)
    negative = (1 - same) * torch.relu(margin - d).pow(2)
    return (positive + negative).mean()


for step in range(8):
    sketch_class = torch.randint(0, 6, (32,))
    photo_class = torch.where(torch.rand(32) < 0.5, sketch_class, torch.randint(0, 6, (32,)))
    sketches = proto_s[sketch_class] + 0.2 * torch.randn(32, 20)
    photos = proto_p[photo_class] + 0.2 * torch.randn(32, 30)
    photo_class = photo_class + 6                  # folders are numbered sketch/0..5, photo/6..11
    same = (sketch_class == photo_class).float()
    style = step % 3 + torch.zeros(32, dtype=torch.long)

    embed_loss = contrastive(sketch_net(sketches), photo_net(photos), same)
    style_loss = nn.functional.cross_entropy(style_head(sketches), style)
    optimizer.zero_grad()
    (embed_loss + style_loss).backward()
    optimizer.step()
    print(step, "contrastive", embed_loss.item(), "style", style_loss.item())
