import torch
import torch.nn.functional as F
from resnet import ResNet


def fixmatch_loss(net, xl, y, xw, xs, threshold=0.15):
    logits = net(torch.cat([xl, xw, xs]))
    sup = F.cross_entropy(logits[: len(xl)], y)
    weak, strong = logits[len(xl):].chunk(2)
    prob, pseudo = weak.detach().softmax(1).max(1)
    unsup = (F.cross_entropy(strong, pseudo, reduction="none") * (prob > threshold)).mean()
    return sup + unsup, sup.item(), unsup.item()


torch.manual_seed(31)
net = ResNet()
optimizer = torch.optim.SGD(net.parameters(), lr=0.03, momentum=0.9, nesterov=True)
for it in range(5):
    y = torch.randint(0, 10, (16,))
    xl = torch.randn(16, 3, 12, 12) + y.view(-1, 1, 1, 1) * 0.1
    xu = torch.randn(16, 3, 12, 12) + torch.randint(0, 10, (16, 1, 1, 1)) * 0.1
    loss, sup, unsup = fixmatch_loss(net, xl, y, xu, xu.flip(3) + 0.2 * torch.randn_like(xu))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"iter {it} sup {sup:.4f} unsup {unsup:.4f}")
