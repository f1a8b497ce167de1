import warnings
import torch
from torch import nn

warnings.simplefilter("ignore")


class PeriodD(nn.Module):
    def __init__(self, periods=(2, 3)):
        super().__init__()
        self.periods = periods
        self.convs = nn.ModuleList(nn.Conv2d(1, 4, (3, 1)) for _ in periods)

    def forward(self, wav):
        scores = []
        for p, conv in zip(self.periods, self.convs):
            w = wav[..., : wav.shape[-1] // p * p]
            scores.append(conv(w.view(len(w), 1, -1, p)).flatten(1).mean(1))
        return torch.stack(scores, 1)


class ResolutionD(nn.Module):
    def __init__(self, sizes=(16, 32)):
        super().__init__()
        self.sizes = sizes
        self.lins = nn.ModuleList(nn.Linear(n // 2 + 1, 1) for n in sizes)

    def forward(self, wav):
        out = []
        for n, lin in zip(self.sizes, self.lins):
            spec = torch.stft(wav, n, window=torch.hann_window(n), return_complex=True).abs()
            out.append(lin(spec.transpose(1, 2)).mean((1, 2)))
        return torch.stack(out, 1)


class UniverseGAN:
    def __init__(self):
        self.generator = nn.Sequential(nn.Conv1d(1, 8, 9, padding=4), nn.PReLU(), nn.Conv1d(8, 1, 9, padding=4))
        self.loss_mpd, self.loss_mrd = PeriodD(), ResolutionD()
        self.opt_gen, self.opt_disc = self.configure_optimizers()

    def configure_optimizers(self):
        params_gen = list(self.generator.parameters())
        params_disc = list(self.loss_mrd.parameters()) + list(self.loss_mpd.parameters())
        return torch.optim.AdamW(params_gen, lr=1e-3), torch.optim.AdamW(params_disc, lr=1e-3)

    def adv(self, wav):
        return torch.cat([self.loss_mpd(wav), self.loss_mrd(wav)], 1)

    def training_step(self, noisy, clean):
        fake = self.generator(noisy[:, None]).squeeze(1)
        self.opt_disc.zero_grad()
        for m in (self.loss_mpd, self.loss_mrd):
            m.zero_grad()
        loss_d = (1 - self.adv(clean)).pow(2).mean() + self.adv(fake.detach()).pow(2).mean()
        loss_d.backward()
        self.opt_disc.step()
        loss_g = (1 - self.adv(fake)).pow(2).mean() + 5 * (fake - clean).abs().mean()
        self.opt_gen.zero_grad()
        loss_g.backward()
        self.opt_gen.step()
        return loss_d.item(), loss_g.item()


torch.manual_seed(13)
gan = UniverseGAN()
for i in range(5):
    clean = torch.sin(torch.rand(4, 1) * torch.arange(120))
    print(i, gan.training_step(clean + 0.3 * torch.randn(4, 120), clean))
