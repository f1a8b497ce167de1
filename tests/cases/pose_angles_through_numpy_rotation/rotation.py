import numpy as np
import torch


def _axis(i, a):
    c, s = np.cos(a), np.sin(a)
    m = np.eye(3, dtype=np.float32)
    j, k = [(1, 2), (0, 2), (0, 1)][i]
    m[j, j], m[k, k] = c, c
    m[j, k], m[k, j] = -s, s
    return m


def euler_to_matrix(angles):
    """(B, 3) angles -> (B, 3, 3) rotation matrices."""
    angles = angles.detach().cpu().numpy()
    mats = [_axis(2, c) @ _axis(1, b) @ _axis(0, a) for a, b, c in angles]
    return torch.from_numpy(np.stack(mats).astype(np.float32))
