import torch
import torch.nn as nn

torch.manual_seed(1)
VOCAB, HID, CHUNK = 30, 24, 5


def repackage_hidden(h):
    """Wraps hidden states in new Tensors, to keep memory constant over chunks."""
    if isinstance(h, torch.Tensor):
        return h.detach()
    return tuple(repackage_hidden(v) for v in h)


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(VOCAB, 16)
        self.lstm = nn.LSTM(16, HID, batch_first=True)
        self.proj = nn.Linear(HID, VOCAB)

    def forward(self, tokens, state):
        out, state = self.lstm(self.embed(tokens), state)
        return self.proj(out), state


class Captioner(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(),
                                     nn.Conv2d(8, 12, 3, stride=2), nn.ReLU(),
                                     nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.bridge = nn.Linear(12, 2 * HID)
        self.decoder = Decoder()

    def start(self, image):
        h, c = self.bridge(self.encoder(image)).tanh().chunk(2, dim=-1)
        return h.unsqueeze(0).contiguous(), c.unsqueeze(0).contiguous()


def make_batch(n=16, length=11):
    images = torch.rand(n, 3, 16, 16)
    first = (images.mean((1, 2, 3)) * VOCAB).long().clamp(max=VOCAB - 1)
    steps = torch.arange(length)
    return images, (first[:, None] + steps) % VOCAB


captioner = Captioner()
optimizer = torch.optim.Adam(captioner.parameters(), lr=3e-3)
criterion = nn.CrossEntropyLoss()

for it in range(10):
    images, tokens = make_batch()
    inputs, targets = tokens[:, :-1], tokens[:, 1:]
    hidden = captioner.start(images)
    total = 0.0
    for lo in range(0, inputs.size(1), CHUNK):
        if lo > 0:
            hidden = repackage_hidden(hidden)
        logits, hidden = captioner.decoder(inputs[:, lo:lo + CHUNK], hidden)
        loss = criterion(logits.reshape(-1, VOCAB), targets[:, lo:lo + CHUNK].reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()
    print(f"iter {it} loss {total:.3f}")
