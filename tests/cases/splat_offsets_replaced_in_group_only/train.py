import torch

from gaussian_model import GaussianModel

torch.manual_seed(17)
OPT = {"iterations": 30, "walk_interval": 5, "size": 16,
       "lrs": {"offset": 0.01, "color": 0.05, "opacity": 0.05, "scaling": 0.01}}


def pixel_grid(size):
    line = torch.linspace(-1, 1, size)
    return torch.stack(torch.meshgrid(line, line, indexing="ij"), dim=-1).view(-1, 2)


def rasterize(gs, pixels):
    d2 = (pixels[:, None] - gs.get_xyz[None]).pow(2).sum(-1)
    weight = gs.get_opacity.T * torch.exp(-0.5 * d2 / gs.get_scaling.T ** 2)
    return (weight @ gs._color.sigmoid()) / (1 + weight.sum(1, keepdim=True))


def l1_loss(a, b):
    return (a - b).abs().mean()


pixels = pixel_grid(OPT["size"])
gt_image = torch.stack([pixels[:, 0].sin().abs(), (3 * pixels[:, 1]).cos().abs(), pixels.prod(1).abs()], dim=-1)
gaussians = GaussianModel(24)
gaussians.training_setup(OPT["lrs"])

for iteration in range(1, OPT["iterations"] + 1):
    image = rasterize(gaussians, pixels)
    loss = l1_loss(image, gt_image)
    loss.backward()
    with torch.no_grad():
        gaussians.optimizer.step()
        gaussians.optimizer.zero_grad(set_to_none=True)
        if iteration % OPT["walk_interval"] == 0 and iteration < OPT["iterations"]:
            gaussians.walk()
            print(f"iter {iteration} loss {loss.item():.4f}")
