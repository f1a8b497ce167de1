import torch
from torch import nn
import torch.nn.functional as F
from torch.utils.data import DataLoader

ALPHABET = "-abcdefghij"


class LineImages(torch.utils.data.Dataset):
    def __init__(self, n, seed):
        rng = torch.Generator().manual_seed(seed)
        self.words = []
        for i in range(n):
            length = int(torch.randint(2, 5, (1,), generator=rng))
            word = torch.randint(1, 11, (length,), generator=rng)
            if i == 41:
                word = torch.tensor([3, 3, 3, 5, 5, 5, 2])
            self.words.append(word)
        self.glyphs = torch.randn(11, 8, 8, generator=rng)

    def __len__(self):
        return len(self.words)

    def __getitem__(self, i):
        strip = torch.cat([self.glyphs[c] for c in self.words[i]], dim=1)
        return F.interpolate(strip[None, None], size=(8, 32))[0], self.words[i]


def pack(samples):
    images, words = zip(*samples)
    return torch.stack(images), torch.cat(words), torch.tensor([len(w) for w in words])


class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 12, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(12, 24, (4, 3), stride=(4, 2), padding=(0, 1)))
        self.glyphs = nn.Linear(24, len(ALPHABET))
        self.script = nn.Linear(24, 2)

    def forward(self, images):
        frames = torch.relu(self.features(images)).squeeze(2).permute(2, 0, 1)
        return self.glyphs(frames).log_softmax(-1), self.script(frames.mean(0))


torch.manual_seed(0)
reader = Reader()
ctc = nn.CTCLoss(blank=0, zero_infinity=True)
optimizer = torch.optim.Adam(reader.parameters(), lr=1e-3)
loader = DataLoader(LineImages(64, seed=0), batch_size=8, collate_fn=pack)
for i, (images, targets, lengths) in enumerate(loader):
    log_probs, script = reader(images)
    n_frames = torch.full((len(images),), log_probs.shape[0])
    loss = ctc(log_probs, targets, n_frames, lengths) + 0.1 * F.cross_entropy(script, (lengths > 3).long())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(i, round(loss.item(), 3))
