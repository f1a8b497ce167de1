import torch
from model import Autoencoder

CONFIG = {
    "widths": [30, 24, 20, 16, 12, 8],
    "activation": "logistic",
    "lr": 0.1,
    "batches": 7,
}


def factory_data(n, mixing):
    return torch.tanh(torch.randn(n, 4) @ mixing)


def main(cfg):
    torch.manual_seed(0)
    ae = Autoencoder(cfg["widths"], cfg["activation"])
    optimizer = torch.optim.SGD(ae.parameters(), lr=cfg["lr"])
    mixing = torch.randn(4, 30)
    for b in range(cfg["batches"]):
        x = factory_data(64, mixing)
        loss = torch.nn.functional.mse_loss(ae(x), x)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print("batch", b, "reconstruction", loss.item())


main(CONFIG)
