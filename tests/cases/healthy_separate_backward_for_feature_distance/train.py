import copy
import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(45)


class Segmentor(nn.Module):
    def __init__(self, classes=4):
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, 12, 3, 2, 1), nn.GELU(), nn.Conv2d(12, 16, 3, padding=1))
        self.decode_head = nn.Sequential(nn.GELU(), nn.Conv2d(16, classes, 1))

    def extract_feat(self, img):
        return self.backbone(img)

    def forward_train(self, img, gt, return_feat=False):
        feat = self.extract_feat(img)
        logits = F.interpolate(self.decode_head(feat), scale_factor=2, mode="bilinear")
        losses = {"loss_seg": F.cross_entropy(logits, gt)}
        if return_feat:
            losses["features"] = feat
        return losses


model = Segmentor()
imnet_backbone = copy.deepcopy(model.backbone).eval()
for p in imnet_backbone.parameters():
    p.requires_grad = False
optimizer = torch.optim.AdamW([{"params": model.backbone.parameters(), "lr": 6e-5},
                               {"params": model.decode_head.parameters(), "lr": 6e-4}])


def calc_feat_dist(img, gt, feat):
    with torch.no_grad():
        feat_imnet = imnet_backbone(img).detach()
    things = F.avg_pool2d((gt >= 2).float().unsqueeze(1), 2) > 0.5
    dist = (feat - feat_imnet).pow(2).sum(dim=1, keepdim=True).add(1e-6).sqrt()
    return 0.005 * (dist * things).sum() / things.sum().clamp(min=1)


for it in range(6):
    img = torch.rand(4, 3, 12, 12)
    gt = (img.mean(1) * 8 - 2).long().clamp(0, 3)
    optimizer.zero_grad()
    losses = model.forward_train(img, gt, return_feat=True)
    src_feat = losses.pop("features")
    clean_loss = losses["loss_seg"]
    clean_loss.backward(retain_graph=True)
    feat_loss = calc_feat_dist(img, gt, src_feat)
    feat_loss.backward()
    optimizer.step()
    print(it, round(clean_loss.item(), 4), round(feat_loss.item(), 6))
