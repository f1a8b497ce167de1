from collections.abc import Iterator
import torch
from torch import nn, Tensor

torch.manual_seed(33)
N_MELS, N_LABELS, FRAMES = 20, 8, 48


class Subsample(nn.Module):
    def __init__(self, channels: int, times: int):
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv1d(N_MELS if i == 0 else channels, channels, 3, stride=2, padding=1) for i in range(times))

    def forward(self, x: Tensor, lengths: Tensor):
        for conv in self.convs:
            x = torch.relu(conv(x))
            lengths = (lengths + 1) // 2
        return x.transpose(1, 2), lengths


class Recognizer(nn.Module):
    def __init__(self, channels: int = 32, times: int = 3):
        super().__init__()
        self.subsample = Subsample(channels, times)
        self.encoder = nn.GRU(channels, channels // 2, bidirectional=True, batch_first=True)
        self.ctc_head = nn.Linear(channels, N_LABELS + 1)

    def forward(self, mel: Tensor, lengths: Tensor):
        x, lengths = self.subsample(mel, lengths)
        x, _ = self.encoder(x)
        return self.ctc_head(x).log_softmax(-1).transpose(0, 1), lengths


def speech(n: int) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
    voice = torch.randn(N_LABELS + 1, N_MELS)
    while True:
        label_lengths = torch.randint(7, 11, (n,))
        labels = torch.randint(1, N_LABELS + 1, (n, 10))
        at = (torch.arange(FRAMES) * 10 // FRAMES).expand(n, -1)
        mel = voice[labels.gather(1, at)] + 0.3 * torch.randn(n, FRAMES, N_MELS)
        yield mel.transpose(1, 2), torch.full((n,), FRAMES), labels, label_lengths


asr = Recognizer()
criterion = nn.CTCLoss(blank=0)
optimizer = torch.optim.Adam(asr.parameters(), lr=2e-3)
for step, (mel, frames, labels, label_lengths) in enumerate(speech(12)):
    log_probs, out_lengths = asr(mel, frames)
    loss = criterion(log_probs, labels, out_lengths, label_lengths)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"step {step} ctc {loss.item():.4f}")
    if step == 7:
        break
