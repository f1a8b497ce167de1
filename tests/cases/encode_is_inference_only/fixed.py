import random
import torch
from torch import nn
from encoder import SentenceEncoder

torch.manual_seed(3)
random.seed(3)
WORDS = "red green blue cat dog bird runs sleeps eats fast slow".split()


class ParagraphRanker(nn.Module):
    def __init__(self, sentence_encoder, dim=24):
        super().__init__()
        self.sentence_encoder = sentence_encoder
        self.scorer = nn.Sequential(nn.Linear(dim, 16), nn.ReLU(), nn.Linear(16, 1))

    def forward(self, paragraphs):
        # "Inference tensors cannot be saved for backward" -> clone helps
        enc = self.sentence_encoder
        rows = [enc(enc.tokenize(p))["sentence_embedding"] for p in paragraphs]
        pooled = torch.stack([r.mean(dim=0) for r in rows])
        return self.scorer(pooled).squeeze(1)


ranker = ParagraphRanker(SentenceEncoder())
optimizer = torch.optim.AdamW([{"params": ranker.sentence_encoder.parameters(), "lr": 2e-4},
                               {"params": ranker.scorer.parameters(), "lr": 2e-3}])
for epoch in range(5):
    paragraphs = [[" ".join(random.choices(WORDS, k=4)) for _ in range(5)] for _ in range(8)]
    gold = torch.tensor([float(sum("cat" in s for s in p)) for p in paragraphs])
    loss = nn.functional.mse_loss(ranker(paragraphs), gold)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"epoch {epoch}: loss {loss.item():.4f}")
