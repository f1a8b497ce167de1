import torch
import torch.nn.functional as F
from torch import nn


class Factors(nn.Module):
    """answers of persons to questions as products of factors"""

    def __init__(self, persons, questions, width=16):
        super().__init__()
        self.person, self.question = nn.Embedding(persons, width), nn.Embedding(questions, width)

    def forward(self):
        return self.person.weight @ self.question.weight.T


def squared_error(answers, expected):
    per_answer = (answers - expected).square()
    return per_answer.sum(1).sum()


torch.manual_seed(11)
factors, dropout_model = Factors(40, 3000), nn.Linear(16, 1)
optimizer = torch.optim.Adam([*factors.parameters(), *dropout_model.parameters()], lr=1e-2)
answers = 100.0 + 30 * torch.randn(40, 3000)
left = (torch.rand(40, 1) < 0.3).float()
for epoch in range(8):
    dropout = F.binary_cross_entropy_with_logits(dropout_model(factors.person.weight.detach()), left)
    loss = dropout + squared_error(factors(), answers)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(epoch, loss.item())
