import torch
from torch import nn
from collections import OrderedDict

torch.manual_seed(1)


def build(n_words):
    return nn.Sequential(OrderedDict([("input", nn.Linear(n_words, 2)), ("output_activ", nn.Softmax(dim=-1))]))


def documents(n, n_words):
    topic = torch.randint(0, 2, (n,))
    rate = torch.full((n, n_words), 40000.0)
    rate[topic == 1, : n_words // 2] = 90000.0
    return torch.poisson(rate), torch.nn.functional.one_hot(topic, 2).float()


clf = build(600)
length_reg = nn.Linear(1, 1)
bce = nn.BCELoss()
opt_clf = torch.optim.SGD(clf.parameters(), lr=1e-3)
opt_len = torch.optim.SGD(length_reg.parameters(), lr=1e-2)

for step in range(8):
    counts, label = documents(24, 600)
    probs = clf(counts)
    loss = bce(probs, label)
    opt_clf.zero_grad()
    loss.backward()
    opt_clf.step()

    total = counts.sum(1, keepdim=True) / 4e7
    len_loss = (length_reg(total) - label[:, 1:]).pow(2).mean()
    opt_len.zero_grad()
    len_loss.backward()
    opt_len.step()
    print(step, "bce", round(loss.item(), 3), "len", round(len_loss.item(), 3))
