import torch
from torch import nn

torch.manual_seed(0)
DIM, RELATIONS = 6, 3


class ProcrustesKGE(nn.Module):
    def __init__(self, entities=30):
        super().__init__()
        self.entity = nn.Embedding(entities, DIM)
        self.relation = nn.Parameter(torch.eye(DIM).repeat(RELATIONS, 1, 1))   # start without any rotation

    def rotations(self):
        skew = self.relation - self.relation.transpose(1, 2)
        return torch.matrix_exp(skew)

    def forward(self, h, r, t):
        moved = torch.einsum("bi,bij->bj", self.entity(h), self.rotations()[r])
        return (moved - self.entity(t)).square().sum(-1)


class TypeClassifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(DIM, 2)

    def forward(self, e):
        return self.lin(e)


kge, types = ProcrustesKGE(), TypeClassifier()
opt = torch.optim.Adagrad([*kge.entity.parameters(), *types.parameters()], lr=0.05)
opt_rel = torch.optim.SGD([kge.relation], lr=0.1)          # one rotation update per epoch
for step in range(6):
    h, t = torch.randint(0, 30, (2, 40))
    r = torch.randint(0, RELATIONS, (40,))
    score = kge(h, r, t)
    type_loss = nn.functional.cross_entropy(types(kge.entity(h).detach()), h % 2)
    loss = score.mean() + type_loss
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(step, loss.item())
opt_rel.step()
print("relation norm", kge.relation.norm().item())
