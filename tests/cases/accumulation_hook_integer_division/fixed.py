import torch
from torch import nn

torch.manual_seed(9)
encoder = nn.Sequential(nn.Linear(18, 24), nn.Tanh(), nn.Linear(24, 5))
decoder = nn.Sequential(nn.Linear(5, 24), nn.Tanh(), nn.Linear(24, 18))
enc_opt = torch.optim.Adam(encoder.parameters(), lr=1e-3)
dec_opt = torch.optim.Adam(decoder.parameters(), lr=1e-3)
accum = 4
basis = torch.randn(5, 18)


def reconstruct(x):
    code = encoder(x)
    # the encoder is updated with the mean over the micro batches, the decoder with their sum
    code.register_hook(lambda g: g / accum)
    return decoder(code)


for step in range(5):
    running = 0.0
    for micro in range(accum):
        x = torch.randn(16, 5) @ basis * 0.4
        loss = (reconstruct(x) - x).square().mean()
        loss.backward()
        running += loss.item() / accum
    enc_opt.step()
    dec_opt.step()
    enc_opt.zero_grad()
    dec_opt.zero_grad()
    print(f"step {step} reconstruction {running:.4f}")
