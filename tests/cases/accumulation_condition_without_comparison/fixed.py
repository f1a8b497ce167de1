import argparse
import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=2)
parser.add_argument("--gradient_accumulations", type=int, default=1, help="number of gradient accums before step")
parser.add_argument("--n_anchors", type=int, default=3)
opt = parser.parse_args([])
torch.manual_seed(16)

backbone = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.LeakyReLU(0.1), nn.Conv2d(8, 16, 3, 2, 1))
detector = nn.Conv2d(16, opt.n_anchors * 5, 1)
optimizer = torch.optim.Adam(list(backbone.parameters()) + list(detector.parameters()))


def detection_loss(pred, targets):
    pred = pred.view(len(pred), opt.n_anchors, 5, *pred.shape[2:])
    obj = nn.functional.binary_cross_entropy_with_logits(pred[:, :, 4], targets["obj"])
    box = ((pred[:, :, :4] - targets["box"][:, None]) ** 2 * targets["obj"][:, :, None]).mean()
    return obj + box


dataset = [(torch.rand(4, 3, 16, 16), {"obj": (torch.rand(4, opt.n_anchors, 4, 4) > 0.8).float(),
                                      "box": torch.randn(4, 4, 4, 4)}) for _ in range(4)]
for epoch in range(opt.epochs):
    for batch_i, (imgs, targets) in enumerate(dataset):
        batches_done = len(dataset) * epoch + batch_i
        loss = detection_loss(detector(backbone(imgs)), targets)
        loss.backward()
        if batches_done % opt.gradient_accumulations == 0:
            # Accumulates gradient before each step
            optimizer.step()
            optimizer.zero_grad()
        print(f"[Epoch {epoch}, Batch {batch_i}] loss {loss.item():.4f}")
