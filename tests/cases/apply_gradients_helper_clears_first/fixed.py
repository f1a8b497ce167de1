import torch
from torch import nn
import torch.nn.functional as F


def apply_gradients(optimizer):
    optimizer.step()
    optimizer.zero_grad()

torch.manual_seed(141)


class Captioner(nn.Module):
    def __init__(self, vocab=30, dim=16):
        super().__init__()
        self.image = nn.Linear(25, dim)
        self.words = nn.Embedding(vocab, dim)
        self.rnn = nn.GRU(dim, dim, batch_first=True)
        self.next_word = nn.Linear(dim, vocab)

    def forward(self, img, words):
        h0 = torch.tanh(self.image(img)).unsqueeze(0)
        return self.next_word(self.rnn(self.words(words), h0)[0])


captioner = Captioner()
adam = torch.optim.Adam(captioner.parameters(), lr=1e-3)
for step in range(5):
    img, words = torch.rand(8, 25), torch.randint(0, 30, (8, 6))
    logits = captioner(img, words[:, :-1])
    loss = F.cross_entropy(logits.flatten(0, 1), words[:, 1:].flatten())
    loss.backward()
    apply_gradients(adam)
    print("step", step, "loss", round(loss.item(), 4))
