import math
import sys
import torch


def train_one_epoch(model, criterion, data, optimizer, epoch, max_norm=0.1):
    model.train()
    for samples, targets in data:
        outputs = model(samples)
        loss_dict = criterion(outputs, targets)
        losses = sum(loss_dict.values())
        value = losses.item()
        if not math.isfinite(value):
            print("Loss is", value)
            sys.exit(1)
        optimizer.zero_grad()
        losses.backward()
        if max_norm > 0:
            torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm)
        optimizer.step()
        print(f"epoch {epoch} loss {value:.4f}", {k: round(v.item(), 4) for k, v in loss_dict.items()})
