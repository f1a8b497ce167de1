import torch


def load(n):
    population = 10 ** (4 + 2 * torch.rand(n))
    income = 20_000 + 80_000 * torch.rand(n)
    distance, rooms = torch.rand(n) * 30, torch.randint(1, 6, (n,)).float()
    rent = 1 + income / 100_000 + 0.2 * rooms - distance / 60
    table = torch.stack([population, income, distance, rooms], 1)
    return table, rent, 0.1 + 0.05 * torch.rand(n)
