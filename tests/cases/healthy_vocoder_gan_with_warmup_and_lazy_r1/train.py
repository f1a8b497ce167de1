from contextlib import contextmanager
import torch
import torch.nn.functional as F
from nets import Generator, MultiScale


@contextmanager
def frozen(*modules):
    for m in modules:
        m.requires_grad_(False)
    try:
        yield
    finally:
        for m in modules:
            m.requires_grad_(True)


def spectra(x, n=16):
    return torch.log(torch.stft(x.squeeze(1), n, 4, window=torch.hann_window(n), return_complex=True).abs().square() + 1e-3)


def r1(critic, real):
    real = real.detach().requires_grad_(True)
    score = sum(s.sum() for s, _ in critic(real))
    grad, = torch.autograd.grad(score, real, create_graph=True)
    return grad.square().sum((1, 2)).mean()


def main(steps=15, warmup=4, r1_every=4):
    torch.manual_seed(5)
    gen, critic = Generator(), MultiScale()
    g_opt = torch.optim.Adam(gen.parameters(), 2e-3, betas=(0.5, 0.9))
    d_opt = torch.optim.Adam(critic.parameters(), 1e-3, betas=(0.5, 0.9))
    proj = torch.randn(10, 1, 8) / 3
    for it in range(steps):
        wave = torch.sin(torch.arange(64) * (torch.rand(8, 1, 1) * 0.6 + 0.1)) * 0.8
        cond = F.conv1d(wave, proj, stride=4, padding=2)
        fake = gen(cond)
        d_loss = torch.zeros(())
        if it >= warmup:
            for (r, _), (f, _) in zip(critic(wave), critic(fake.detach())):
                d_loss = d_loss + F.relu(1 - r).mean() + F.relu(1 + f).mean()
            if it % r1_every == 0:
                d_loss = d_loss + 0.05 * r1_every * r1(critic, wave)
            d_opt.zero_grad()
            d_loss.backward()
            d_opt.step()
        g_loss = F.l1_loss(spectra(fake), spectra(wave))
        if it >= warmup:
            with frozen(critic):
                for (score, feats), (_, real) in zip(critic(fake), critic(wave)):
                    g_loss = g_loss - 0.1 * score.mean() + sum(F.l1_loss(a, b.detach()) for a, b in zip(feats, real))
        g_opt.zero_grad()
        g_loss.backward()
        g_opt.step()
        print(f"{it} g {g_loss.item():.4f} d {d_loss.item():.4f}")


main()
