import torch


def preference_pairs(n):
    """good answers use tokens below 32 more often"""
    out = []
    for _ in range(n):
        good = torch.cat([torch.randint(0, 32, (8,)), torch.randint(0, 64, (4,))])
        bad = torch.randint(0, 64, (12,))
        out.append({"chosen": good, "rejected": bad})
    return out


def collate(batch):
    chosen = torch.stack([pair["chosen"] for pair in batch])
    rejected = torch.stack([pair["chosen"] for pair in batch])
    return chosen, rejected
