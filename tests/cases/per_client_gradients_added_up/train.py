import torch
from torch import nn

torch.manual_seed(0)
N_CLIENTS, ROUNDS = 25, 5
shared = nn.Sequential(nn.Linear(10, 32), nn.LeakyReLU(), nn.Linear(32, 1))
personal = nn.Embedding(N_CLIENTS, 1)
server_opt = torch.optim.SGD(shared.parameters(), lr=0.15)
local_opt = torch.optim.SGD(personal.parameters(), lr=0.1)
data = {}
for client in range(N_CLIENTS):
    x = torch.randn(20, 10)
    data[client] = x, x[:, :1] - x[:, 1:2] + 0.1 * client / N_CLIENTS


def client_loss(client):
    x, y = data[client]
    out = shared(x) + personal(torch.full((len(x),), client))
    return nn.functional.mse_loss(out, y)


for r in range(ROUNDS):
    server_opt.zero_grad()
    local_opt.zero_grad()
    history = []
    for client in range(N_CLIENTS):
        loss = client_loss(client)
        loss.backward()
        history.append(loss.item())
    server_opt.step()
    local_opt.step()
    print(f"round {r} mean client loss {sum(history) / N_CLIENTS:.4g}")
