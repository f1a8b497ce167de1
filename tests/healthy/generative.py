"""Correct loops that train generative models."""

from __future__ import annotations

import copy
from itertools import chain

import torch
from torch import nn
from torch.nn import functional as fn

from tests.healthy.parts import Watch, mlp


def gan(watch: Watch) -> list[float]:
    generator, discriminator = mlp(4, 16, 2), mlp(2, 16, 1)
    watch(generator=generator, discriminator=discriminator)
    opt_g = torch.optim.Adam(generator.parameters(), lr=2e-4, betas=(0.5, 0.999))
    opt_d = torch.optim.Adam(discriminator.parameters(), lr=2e-4, betas=(0.5, 0.999))
    criterion = nn.BCEWithLogitsLoss()
    losses = []
    for _ in range(10):
        real = torch.randn(16, 2) * 0.3 + 2
        fake = generator(torch.randn(16, 4))
        opt_d.zero_grad()
        loss_real = criterion(discriminator(real), torch.ones(16, 1))
        loss_fake = criterion(discriminator(fake.detach()), torch.zeros(16, 1))
        (loss_real + loss_fake).backward()
        opt_d.step()
        opt_g.zero_grad()
        loss_g = criterion(discriminator(fake), torch.ones(16, 1))
        loss_g.backward()
        opt_g.step()
        losses.append(loss_g.item())
    return losses


def gan_two_backwards_for_the_critic(watch: Watch) -> list[float]:
    generator, discriminator = mlp(4, 16, 2), mlp(2, 16, 1)
    watch(generator=generator, discriminator=discriminator)
    opt_g = torch.optim.Adam(generator.parameters(), lr=1e-3)
    opt_d = torch.optim.Adam(discriminator.parameters(), lr=1e-3)
    losses = []
    for _ in range(8):
        discriminator.zero_grad()
        real = discriminator(torch.randn(16, 2) + 1)
        fn.binary_cross_entropy_with_logits(real, torch.ones_like(real)).backward()
        fake = generator(torch.randn(16, 4))
        scored = discriminator(fake.detach())
        fn.binary_cross_entropy_with_logits(scored, torch.zeros_like(scored)).backward()
        opt_d.step()
        for p in discriminator.parameters():
            p.requires_grad_(False)
        generator.zero_grad()
        scored = discriminator(fake)
        loss = fn.binary_cross_entropy_with_logits(scored, torch.ones_like(scored))
        loss.backward()
        opt_g.step()
        for p in discriminator.parameters():
            p.requires_grad_(True)
        losses.append(loss.item())
    return losses


def wgan_gp(watch: Watch) -> list[float]:
    generator, critic = mlp(4, 16, 2), mlp(2, 16, 1)
    watch(generator=generator, critic=critic)
    opt_g = torch.optim.Adam(generator.parameters(), lr=1e-4, betas=(0.0, 0.9))
    opt_c = torch.optim.Adam(critic.parameters(), lr=1e-4, betas=(0.0, 0.9))
    losses = []
    for step in range(15):
        real = torch.randn(16, 2) + 3
        fake = generator(torch.randn(16, 4)).detach()
        alpha = torch.rand(16, 1)
        mixed = (alpha * real + (1 - alpha) * fake).requires_grad_(True)
        slope = torch.autograd.grad(critic(mixed).sum(), mixed, create_graph=True)[0]
        penalty = ((slope.norm(2, dim=1) - 1) ** 2).mean()
        loss = critic(fake).mean() - critic(real).mean() + 10 * penalty
        opt_c.zero_grad()
        loss.backward()
        opt_c.step()
        losses.append(loss.item())
        if step % 5 == 4:
            opt_g.zero_grad()
            (-critic(generator(torch.randn(16, 4))).mean()).backward()
            opt_g.step()
    return losses


def discriminator_warm_up(watch: Watch) -> list[float]:
    generator, discriminator = mlp(4, 16, 2), mlp(2, 16, 1)
    watch(generator=generator, discriminator=discriminator)
    generator.requires_grad_(False)
    opt_d = torch.optim.Adam(discriminator.parameters(), lr=1e-3)
    opt_g = torch.optim.Adam(generator.parameters(), lr=1e-3)
    losses = []
    for step in range(14):
        if step == 6:
            generator.requires_grad_(True)
        fake = generator(torch.randn(16, 4))
        loss_d = (
            fn.softplus(-discriminator(torch.randn(16, 2))).mean() + fn.softplus(discriminator(fake.detach())).mean()
        )
        opt_d.zero_grad()
        loss_d.backward()
        opt_d.step()
        if step >= 6:
            loss_g = fn.softplus(-discriminator(fake)).mean()
            opt_g.zero_grad()
            loss_g.backward()
            opt_g.step()
        losses.append(loss_d.item())
    return losses


def hinge_gan_with_spectral_norm(watch: Watch) -> list[float]:
    norm = nn.utils.parametrizations.spectral_norm
    generator = mlp(4, 16, 2)
    discriminator = nn.Sequential(norm(nn.Linear(2, 16)), nn.LeakyReLU(0.2), norm(nn.Linear(16, 1)))
    watch(generator=generator, discriminator=discriminator)
    opt_g = torch.optim.Adam(generator.parameters(), lr=1e-4)
    opt_d = torch.optim.Adam(discriminator.parameters(), lr=4e-4)
    losses = []
    for _ in range(8):
        for _ in range(2):
            fake = generator(torch.randn(16, 4)).detach()
            loss_d = fn.relu(1 - discriminator(torch.randn(16, 2) + 2)).mean() + fn.relu(1 + discriminator(fake)).mean()
            opt_d.zero_grad(set_to_none=True)
            loss_d.backward()
            opt_d.step()
        loss_g = -discriminator(generator(torch.randn(16, 4))).mean()
        opt_g.zero_grad(set_to_none=True)
        loss_g.backward()
        opt_g.step()
        losses.append(loss_g.item())
    return losses


def cycle_gan_with_two_optimizers(watch: Watch) -> list[float]:
    there, back = mlp(3, 16, 3), mlp(3, 16, 3)
    judge_a, judge_b = mlp(3, 8, 1), mlp(3, 8, 1)
    watch(there=there, back=back, judge_a=judge_a, judge_b=judge_b)
    opt_g = torch.optim.Adam(chain(there.parameters(), back.parameters()), lr=2e-4)
    opt_d = torch.optim.Adam(chain(judge_a.parameters(), judge_b.parameters()), lr=2e-4)
    losses = []
    for _ in range(8):
        a, b = torch.randn(8, 3), torch.randn(8, 3) + 1
        for p in chain(judge_a.parameters(), judge_b.parameters()):
            p.requires_grad = False
        opt_g.zero_grad()
        fake_b, fake_a = there(a), back(b)
        cycle = fn.l1_loss(back(fake_b), a) + fn.l1_loss(there(fake_a), b)
        loss = 10 * cycle + ((judge_b(fake_b) - 1) ** 2).mean() + ((judge_a(fake_a) - 1) ** 2).mean()
        loss.backward()
        opt_g.step()
        for p in chain(judge_a.parameters(), judge_b.parameters()):
            p.requires_grad = True
        opt_d.zero_grad()
        for judge, real, fake in ((judge_a, a, fake_a), (judge_b, b, fake_b)):
            (((judge(real) - 1) ** 2).mean() + (judge(fake.detach()) ** 2).mean()).backward()
        opt_d.step()
        losses.append(loss.item())
    return losses


def vae(watch: Watch) -> list[float]:
    encoder, decoder = mlp(6, 16, 4), mlp(2, 16, 6)
    watch(encoder=encoder, decoder=decoder)
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=1e-3)
    data = torch.rand(32, 6)
    losses = []
    for epoch in range(10):
        mu, logvar = encoder(data).chunk(2, dim=1)
        z = mu + torch.randn_like(mu) * (0.5 * logvar).exp()
        reconstruction = fn.binary_cross_entropy_with_logits(decoder(z), data, reduction="sum") / len(data)
        divergence = -0.5 * (1 + logvar - mu**2 - logvar.exp()).sum(1).mean()
        loss = reconstruction + min(1.0, epoch / 5) * divergence
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    with torch.no_grad():
        decoder(torch.randn(4, 2)).sigmoid().numpy()
    return losses


def vq_vae(watch: Watch) -> list[float]:
    encoder, codebook, decoder = mlp(6, 16, 3), nn.Embedding(8, 3), mlp(3, 16, 6)
    watch(encoder=encoder, codebook=codebook, decoder=decoder)
    optimizer = torch.optim.Adam([*encoder.parameters(), *codebook.parameters(), *decoder.parameters()], lr=1e-3)
    losses = []
    for _ in range(10):
        x = torch.randn(32, 6)
        z = encoder(x)
        index = torch.cdist(z, codebook.weight).argmin(1)
        chosen = codebook(index)
        straight = z + (chosen - z).detach()
        loss = (
            fn.mse_loss(decoder(straight), x) + fn.mse_loss(chosen, z.detach()) + 0.25 * fn.mse_loss(z, chosen.detach())
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def vq_vae_with_ema_codebook(watch: Watch) -> list[float]:
    encoder, decoder = mlp(6, 16, 3), mlp(3, 16, 6)
    codebook, counts = torch.randn(8, 3), torch.ones(8)
    sums = codebook.clone()
    watch(encoder=encoder, decoder=decoder)
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=1e-3)
    losses = []
    for _ in range(10):
        x = torch.randn(32, 6)
        z = encoder(x)
        index = torch.cdist(z.detach(), codebook).argmin(1)
        chosen = codebook[index]
        with torch.no_grad():
            hot = fn.one_hot(index, 8).float()
            counts.mul_(0.9).add_(hot.sum(0), alpha=0.1)
            sums.mul_(0.9).add_(hot.T @ z, alpha=0.1)
            codebook.copy_(sums / counts[:, None].clamp(min=1e-5))
        loss = fn.mse_loss(decoder(z + (chosen - z).detach()), x) + 0.25 * fn.mse_loss(z, chosen)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def diffusion_with_ema(watch: Watch) -> list[float]:
    denoiser = mlp(3, 32, 2)
    ema = copy.deepcopy(denoiser).eval().requires_grad_(False)
    watch(denoiser=denoiser)
    optimizer = torch.optim.AdamW(denoiser.parameters(), lr=1e-3)
    alpha_bar = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 100), 0)
    losses = []
    for _ in range(10):
        x = torch.randn(32, 2) * 0.1 + 1
        t = torch.randint(0, 100, (32,))
        noise = torch.randn_like(x)
        a = alpha_bar[t][:, None]
        noisy = a.sqrt() * x + (1 - a).sqrt() * noise
        loss = fn.mse_loss(denoiser(torch.cat([noisy, t[:, None] / 100], 1)), noise)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(denoiser.parameters(), 1.0)
        optimizer.step()
        with torch.no_grad():
            for slow, fast in zip(ema.parameters(), denoiser.parameters(), strict=True):
                slow.lerp_(fast, 0.05)
        losses.append(loss.item())
    return losses


class _Coupling(nn.Module):
    def __init__(self, dim: int, *, flip: bool) -> None:
        super().__init__()
        self.net, self.flip = mlp(dim // 2, 16, dim), flip
        nn.init.zeros_(self.net[-1].weight)
        nn.init.zeros_(self.net[-1].bias)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        a, b = x.chunk(2, 1)
        if self.flip:
            a, b = b, a
        scale, shift = self.net(a).chunk(2, 1)
        scale = torch.tanh(scale)
        b = b * scale.exp() + shift
        return torch.cat([b, a] if self.flip else [a, b], 1), scale.sum(1)


def normalising_flow(watch: Watch) -> list[float]:
    flow = nn.ModuleList(_Coupling(4, flip=bool(i % 2)) for i in range(4))
    watch(flow=flow)
    optimizer = torch.optim.Adam(flow.parameters(), lr=1e-3)
    base = torch.distributions.Normal(0.0, 1.0)
    losses = []
    for _ in range(10):
        x = torch.randn(32, 4) * 0.5 + 1
        total = torch.zeros(32)
        for layer in flow:
            x, logdet = layer(x)
            total = total + logdet
        loss = -(base.log_prob(x).sum(1) + total).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def free_bits_with_a_learned_prior(watch: Watch) -> list[float]:
    """Below its floor the divergence trains nothing; the prior, whose only term it is, has got there and may rest."""
    encoder, decoder, prior = mlp(4, 16, 4), mlp(2, 16, 4), mlp(1, 8, 4)
    watch(encoder=encoder, decoder=decoder, prior=prior)
    optimizer = torch.optim.Adam(chain(encoder.parameters(), decoder.parameters(), prior.parameters()), lr=3e-2)
    losses = []
    for _ in range(30):
        x = torch.randn(32, 4)
        mean, log_std = encoder(x).chunk(2, dim=1)
        log_std = log_std.clamp(-3, 2)
        wanted, log_wanted = prior(torch.ones(1, 1)).chunk(2, dim=1)
        z = mean + log_std.exp() * torch.randn_like(mean)
        ratio = ((2 * log_std).exp() + (mean - wanted) ** 2) / (2 * (2 * log_wanted).exp())
        kl = (log_wanted - log_std + ratio - 0.5).sum(1).mean()
        loss = fn.mse_loss(decoder(z), x) + torch.clamp(kl, min=0.5)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses
