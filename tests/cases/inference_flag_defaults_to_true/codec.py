import torch
from torch import nn


class SpeechCodec(nn.Module):
    def __init__(self, codes=8):
        super().__init__()
        self.down = nn.Conv1d(1, codes, 4, stride=4)
        self.post = nn.Conv1d(codes, codes, 1)

    def encode(self, wave, frozen=True):
        with torch.inference_mode(frozen):
            z = self.post(torch.tanh(self.down(wave)))
        return z.clone()
