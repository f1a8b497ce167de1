import torch
from torch import nn
import torch.nn.functional as F


class SetPredictor(nn.Module):
    def __init__(self, queries=4, dim=24, classes=3, pixels=36):
        super().__init__()
        self.backbone = nn.Sequential(nn.Linear(pixels, 48), nn.GELU(), nn.Linear(48, dim))
        self.queries = nn.Parameter(torch.randn(queries, dim) * 0.5)
        self.class_head = nn.Linear(dim, classes)
        self.box_head = nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, 4))
        self.mask_head = nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, pixels))

    def forward(self, x):
        h = torch.tanh(self.backbone(x).unsqueeze(1) + self.queries)
        return {"logits": self.class_head(h), "boxes": self.box_head(h).sigmoid(), "masks": self.mask_head(h)}


class SetCriterion:
    def __init__(self, weight_dict, losses):
        self.weight_dict = weight_dict
        self.losses = losses

    def loss_labels(self, out, tgt):
        return {"loss_ce": F.cross_entropy(out["logits"].flatten(0, 1), tgt["labels"].flatten())}

    def loss_boxes(self, out, tgt):
        return {"loss_bbox": F.l1_loss(out["boxes"], tgt["boxes"])}

    def loss_masks(self, out, tgt):
        inter = (out["masks"].sigmoid() * tgt["masks"]).sum(-1)
        dice = 1 - (2 * inter + 1) / (out["masks"].sigmoid().sum(-1) + tgt["masks"].sum(-1) + 1)
        return {
            "loss_masks": F.binary_cross_entropy_with_logits(out["masks"], tgt["masks"]),
            "loss_masks_dice": dice.mean(),
        }

    def __call__(self, out, tgt):
        result = {}
        for name in self.losses:
            result.update(getattr(self, f"loss_{name}")(out, tgt))
        return result


def train_one_epoch(model, criterion, loader, optimizer, epoch):
    for it, (x, tgt) in enumerate(loader):
        loss_dict = criterion(model(x), tgt)
        weight_dict = criterion.weight_dict
        losses = sum(loss_dict[k] * weight_dict[k] for k in loss_dict if k in weight_dict)
        optimizer.zero_grad()
        losses.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        print(f"epoch {epoch} it {it}", {k: round(v.item(), 3) for k, v in loss_dict.items()})


def fake_loader(batches=3, n=6, q=4):
    for _ in range(batches):
        masks = (torch.rand(n, q, 36) > 0.7).float()
        tgt = {"labels": torch.randint(0, 3, (n, q)), "boxes": torch.rand(n, q, 4), "masks": masks}
        yield masks.sum(1) + 0.1 * torch.randn(n, 36), tgt


torch.manual_seed(4)
model = SetPredictor()
weights = {"loss_ce": 1.0, "loss_bbox": 5.0, "loss_masks": 1.0, "loss_masks_dice": 1.0}
criterion = SetCriterion(weights, ["labels", "boxes", "masks"])
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
for epoch in range(2):
    train_one_epoch(model, criterion, fake_loader(), optimizer, epoch)
