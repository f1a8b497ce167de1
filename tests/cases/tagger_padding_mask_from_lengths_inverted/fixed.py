import torch
from torch import nn
import torch.nn.functional as F


class Tagger(nn.Module):
    def __init__(self, vocab, tags):
        super().__init__()
        self.words = nn.Embedding(vocab, 16)
        self.bilstm = nn.LSTM(16, 12, batch_first=True, bidirectional=True)
        self.emission = nn.Linear(24, tags)

    def forward(self, ids):
        return self.emission(self.bilstm(self.words(ids))[0])


def token_mask(lengths, width):
    positions = torch.arange(width)[None]
    return (positions < lengths[:, None]).float()


def masked_token_loss(logits, tags, lengths):
    ce = F.cross_entropy(logits.flatten(0, 1), tags.flatten(), reduction="none").view_as(tags)
    mask = token_mask(lengths, tags.size(1))
    return (ce * mask).sum() / (mask.sum() + 1)


def main():
    torch.manual_seed(13)
    tagger = Tagger(vocab=50, tags=5)
    sent_head = nn.EmbeddingBag(50, 2)
    opt = torch.optim.NAdam([*tagger.parameters(), *sent_head.parameters()], lr=2e-3)
    for step in range(6):
        ids = torch.randint(0, 50, (16, 10))
        lengths = torch.full((16,), 10)
        tag_loss = masked_token_loss(tagger(ids), ids % 5, lengths)
        cls_loss = F.cross_entropy(sent_head(ids), (ids[:, 0] > 25).long())
        opt.zero_grad()
        (tag_loss + cls_loss).backward()
        opt.step()
        print(f"step {step}: tags {tag_loss.item():.4f} sentence {cls_loss.item():.4f}")


main()
