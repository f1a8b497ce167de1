import torch
from torch import nn

torch.manual_seed(0)
context = nn.Sequential(nn.Linear(8, 24), nn.ReLU(), nn.Linear(24, 16))
rnn = nn.RNN(3, 16, batch_first=True)
into = nn.Linear(16, 3)
head = nn.Linear(16, 2)
params = [*context.parameters(), *rnn.parameters(), *head.parameters()]
params += into.parameters()
optimizer = torch.optim.Adam(params, lr=1e-3)


def encode(patient, stream):
    h0 = context(patient)[None]
    stream = stream + into(context(patient))[:, None]
    _, last = rnn(stream)
    return head(last[0])


for step in range(6):
    patient = torch.randn(32, 8)
    stream = torch.randn(32, 60, 3)
    outcome = (patient[:, 0] + stream[:, -1, 0] > 0).long()
    loss = nn.functional.cross_entropy(encode(patient, stream), outcome)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print("step", step, "loss", loss.item())
