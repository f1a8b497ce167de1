import torch
from torch.nn import functional as F
from nets import BagEncoder, ChoiceScorer, Difficulty

VOCAB, DIM = 60, 20


def quiz(n, k=4):
    topic = torch.randint(0, 10, (n,))
    stem = topic[:, None] * 6 + torch.randint(0, 6, (n, 7))
    wrong = torch.randint(0, VOCAB, (n, k, 3))
    answer = torch.randint(0, k, (n,))
    wrong[torch.arange(n), answer] = topic[:, None] * 6 + torch.randint(0, 6, (n, 3))
    return stem, wrong, answer, topic.float() / 10


class Experiment:
    def __init__(self, seed=0):
        torch.manual_seed(seed)
        self.stem_enc = BagEncoder(VOCAB, DIM)
        self.choice_enc = BagEncoder(VOCAB, DIM)
        self.scorer = ChoiceScorer(DIM)
        self.difficulty = Difficulty(VOCAB)
        self.parts = torch.nn.ModuleList([self.stem_enc, self.choice_enc, self.scorer, self.difficulty])
        self.sgd = torch.optim.SGD(self.parts.parameters(), lr=0.2, momentum=0.9)

    def losses(self, batch):
        stem, choices, answer, hard = batch
        scores = self.scorer(self.stem_enc(stem), self.choice_enc(choices))
        return F.cross_entropy(scores, answer), F.mse_loss(self.difficulty(stem), hard)

    def run(self, iterations):
        for i in range(iterations):
            pick, hard = self.losses(quiz(64))
            self.sgd.zero_grad()
            (pick + 0.1 * hard).backward()
            self.sgd.step()
            if i % 5 == 0:
                print(f"[{i:02d}] choice {pick:.4f}  difficulty {hard:.4f}")


exp = Experiment()
exp.run(21)
