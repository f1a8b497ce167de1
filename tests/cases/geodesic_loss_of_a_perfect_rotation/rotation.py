import torch
import torch.nn.functional as F


def six_d_to_matrix(d6):
    a = F.normalize(d6[:, :3], dim=-1)
    b = F.normalize(d6[:, 3:] - (a * d6[:, 3:]).sum(-1, keepdim=True) * a, dim=-1)
    return torch.stack([a, b, torch.cross(a, b, dim=-1)], -1)


def geodesic(A, B):
    trace = torch.einsum("nij,nij->n", A, B)
    cos = torch.clamp((trace - 1) / 2, -1.0, 1.0)
    return torch.acos(cos)
