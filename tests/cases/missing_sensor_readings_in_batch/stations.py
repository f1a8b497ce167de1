import csv
import io
import math
import torch


def export(hours):
    rows = ["temperature,humidity,pressure"]
    for h in range(hours):
        t = 10 + 5 * math.sin(h / 24 * 2 * math.pi)
        cell = "" if 110 <= h < 113 else f"{t:.2f}"
        rows.append(f"{cell},{0.6 - t / 50:.3f},{1 + 0.01 * math.cos(h / 9):.4f}")
    return "\n".join(rows)


def read_log(hours):
    table = list(csv.DictReader(io.StringIO(export(hours))))
    columns = table[0].keys()
    data = torch.tensor([[float(row[c] or "nan") for c in columns] for row in table])
    return (data - data.nanmean(0)) / torch.tensor([3.5, 0.07, 0.007])


def windows(log, width, size):
    start = 0
    while start + width + size < len(log):
        idx = torch.arange(start, start + size)[:, None] + torch.arange(width)
        yield log[idx], log[idx[:, -1] + 1]
        start += size
