import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(32)


class TPN(nn.Module):
    def __init__(self, c=12, classes=4):
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv1d(c, c, 1) for _ in range(2))
        self.aux_head = nn.Linear(c, classes)

    def forward(self, feats, target=None):
        outs = [lat(f) for lat, f in zip(self.lateral, feats)]
        pooled = torch.cat([o.mean(dim=2) for o in outs], dim=1)
        loss_aux = dict()
        if target is not None:
            loss_aux["loss_aux"] = 0.5 * F.cross_entropy(self.aux_head(feats[0].mean(dim=2)), target)
        return pooled, loss_aux


class Recognizer(nn.Module):
    def __init__(self, c=12, classes=4):
        super().__init__()
        self.backbone = nn.ModuleList([nn.Conv1d(8, c, 3, padding=1), nn.Conv1d(c, c, 3, stride=2, padding=1)])
        self.neck = TPN(c, classes)
        self.cls_head = nn.Linear(2 * c, classes)

    def extract_feat(self, clip):
        a = F.relu(self.backbone[0](clip))
        return [a, F.relu(self.backbone[1](a))]

    def forward_train(self, clip, labels):
        losses = dict()
        x, loss_aux = self.neck(self.extract_feat(clip), labels)
        losses.update(loss_aux)
        losses.update(loss_cls=F.cross_entropy(self.cls_head(x), labels))
        return losses


def parse_losses(losses):
    log_vars = {k: v.item() for k, v in losses.items()}
    loss = sum(v for k, v in losses.items() if "loss" in k)
    log_vars["loss"] = loss.item()
    return loss, log_vars


recognizer = Recognizer()
optimizer = torch.optim.SGD(recognizer.parameters(), lr=0.05, momentum=0.9, weight_decay=0.0)
for it in range(6):
    labels = torch.randint(0, 4, (12,))
    clip = torch.randn(12, 8, 16)
    clip[torch.arange(12), labels] += 1
    loss, log_vars = parse_losses(recognizer.forward_train(clip, labels))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(it, {k: round(v, 4) for k, v in log_vars.items()})
