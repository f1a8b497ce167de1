import torch

BOS, EOS = 1, 2
RESPONSE_TEMPLATE = [3, 4]         # "### Response"


def find(seq, pattern):
    for i in range(len(seq) - len(pattern) + 1):
        if seq[i:i + len(pattern)] == pattern:
            return i + len(pattern)
    return None


def collate(pairs):
    rows, masks = [], []
    for prompt, answer in pairs:
        seq = [BOS] + prompt + [4, 3] + answer + [EOS]
        start = find(seq, RESPONSE_TEMPLATE)
        mask = [0] * len(seq)
        if start is not None:
            mask[start:] = [1] * (len(seq) - start)
        rows.append(seq)
        masks.append(mask)
    return torch.tensor(rows), torch.tensor(masks)
