import torch
from torch import nn
import torch.nn.functional as F


class Warper(nn.Module):
    """moves an image patch by a dense flow; offset is the patch position in the full scan"""

    def __init__(self, height, width, offset=(0, 0)):
        super().__init__()
        ys = torch.arange(height) + offset[0]
        xs = torch.arange(width) + offset[1]
        y, x = torch.meshgrid(ys, xs, indexing="ij")
        self.register_buffer("base", torch.stack([x, y], -1).float())
        self.size = torch.tensor([width - 1.0, height - 1.0])
        self.offset = torch.tensor([float(offset[1]), float(offset[0])])

    def forward(self, image, flow):
        where = self.base + flow.permute(0, 2, 3, 1)
        grid = where / self.size * 2 - 1
        return F.grid_sample(image, grid, align_corners=True)
