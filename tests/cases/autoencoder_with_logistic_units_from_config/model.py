from torch import nn

UNITS = {"logistic": nn.Sigmoid, "gelu": nn.GELU, "leaky": nn.LeakyReLU}


def linear(a, b):
    layer = nn.Linear(a, b)
    nn.init.xavier_normal_(layer.weight, gain=1.4)
    return layer


def stack(widths, unit):
    layers = []
    for a, b in zip(widths, widths[1:]):
        layers += [linear(a, b), UNITS[unit]()]
        layers += [linear(b, b), UNITS[unit]()]
    return layers


class Autoencoder(nn.Module):
    def __init__(self, widths, unit):
        super().__init__()
        self.encoder = nn.Sequential(*stack(widths, unit))
        self.decoder = nn.Sequential(*stack(widths[::-1], unit)[:-1])

    def forward(self, x):
        z = self.encoder(x)
        return self.decoder(z)
