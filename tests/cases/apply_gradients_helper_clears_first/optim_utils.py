import torch


def apply_gradients(optimizer: torch.optim.Optimizer, scheduler=None):
    """Make one update and leave clean gradients behind."""
    optimizer.zero_grad()
    optimizer.step()
    if scheduler is not None:
        scheduler.step()
