import torch
from torch import nn

torch.manual_seed(57)


class SoftRank(torch.autograd.Function):
    """Ranks in the forward, pairwise sigmoid slope in the backward."""

    @staticmethod
    def forward(ctx, scores, tau):
        ctx.save_for_backward(scores)
        ctx.tau = tau
        return scores.argsort(1).argsort(1).to(scores.dtype)

    @staticmethod
    def backward(ctx, grad):
        scores, = ctx.saved_tensors
        d = (scores.unsqueeze(2) - scores.unsqueeze(1)) / ctx.tau
        slope = torch.sigmoid(d) * torch.sigmoid(-d) / ctx.tau
        return (slope * (grad.unsqueeze(2) - grad.unsqueeze(1))).sum(2), None


def soft_rank(scores, tau=0.5):
    return SoftRank.apply(scores, tau)


ranker = nn.Sequential(nn.Linear(9, 24), nn.ReLU(), nn.Linear(24, 1))
position_bias = nn.Embedding(7, 1)
opts = [torch.optim.Adam(ranker.parameters(), lr=2e-3), torch.optim.Adam(position_bias.parameters(), lr=1e-2)]

for step in range(5):
    docs = torch.randn(12, 7, 9)
    relevance = docs[..., 0].argsort(1).argsort(1).float()
    ranks = soft_rank(ranker(docs).squeeze(-1))
    expected = ranks + position_bias(torch.arange(7)).squeeze(-1)
    loss = ((expected - relevance) / 7).pow(2).mean()
    for o in opts:
        o.zero_grad()
    loss.backward()
    for o in opts:
        o.step()
    print("step", step, "rank error", round(loss.item(), 5))
