from torch import nn
import torch


class MarketModel(nn.Module):
    def __init__(self, users=30, items=40, dim=8):
        super().__init__()
        self.user_emb, self.item_emb = nn.Embedding(users, dim), nn.Embedding(items, dim)
        self.fc_layers = nn.ModuleList([nn.Linear(2 * dim, 16), nn.Linear(16, 16)])
        self.mh_layers = nn.ModuleList([nn.Linear(16, 8), nn.Linear(8, 1)])

    def forward(self, u, i):
        h = torch.cat([self.user_emb(u), self.item_emb(i)], dim=1)
        for layer in [*self.fc_layers, *self.mh_layers[:-1]]:
            h = torch.relu(layer(h))
        return self.mh_layers[-1](h).squeeze(1)

    def freeze(self):
        for p in self.parameters():
            p.requires_grad = False


def freeze_model(model, allowed=(0, 1)):
    """Prepares the model for tuning on the target market."""
    model.freeze()
    for k in allowed:
        model.fc_layers[k].weight.requires_grad = True
        model.fc_layers[k].bias.requires_grad = True
    return model
