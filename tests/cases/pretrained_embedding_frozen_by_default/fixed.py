import torch
from torch import nn
import torch.nn.functional as F


def load_word_vectors(vocab=50, dim=16):
    return torch.randn(vocab, dim, generator=torch.Generator().manual_seed(0))


class IntentNet(nn.Module):
    def __init__(self, vectors, n_intents=4):
        super().__init__()
        self.words = nn.Embedding.from_pretrained(vectors, freeze=False)
        self.conv = nn.Conv1d(vectors.size(1), 20, 3, padding=1)
        self.intent = nn.Linear(20, n_intents)

    def forward(self, ids):
        h = torch.relu(self.conv(self.words(ids).transpose(1, 2)))
        return self.intent(h.amax(-1))


torch.manual_seed(317)
net = IntentNet(load_word_vectors())
slow = torch.optim.SGD(net.words.parameters(), lr=0.01)          # fine-tune the vectors gently
fast = torch.optim.Adam([*net.conv.parameters(), *net.intent.parameters()], lr=3e-3)
for step in range(5):
    ids = torch.randint(0, 50, (12, 7))
    loss = F.cross_entropy(net(ids), ids[:, 0] % 4)
    slow.zero_grad()
    fast.zero_grad()
    loss.backward()
    slow.step()
    fast.step()
    print("step", step, "intent loss", round(loss.item(), 4))
