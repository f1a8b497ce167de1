import torch
import torch.nn as nn

torch.manual_seed(2)
recon = nn.Sequential(nn.Conv2d(2, 16, 3, padding=1), nn.LeakyReLU(0.2), nn.Conv2d(16, 2, 3, padding=1))
latent_net = nn.Sequential(nn.Conv2d(2, 8, 3, stride=2), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(8 * 25, 16))
discriminator = nn.Sequential(nn.Linear(16, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))
opt_g = torch.optim.RMSprop(list(recon.parameters()) + list(latent_net.parameters()), lr=1e-3)
opt_d = torch.optim.RMSprop(discriminator.parameters(), lr=1e-3)
l1, mse = nn.L1Loss(), nn.MSELoss()
history = {"rec": [], "adv": [], "dis": []}


def undersample(full):
    mask = (torch.rand(1, 1, full.shape[2], 1) > 0.4).float()
    return full * mask


def local_update(sites=("A", "B")):
    for site in sites:
        target = torch.randn(4, 2, 12, 12)
        if site == "B":
            target = target * 0.5 + 0.3
        out = recon(undersample(target))
        feats = latent_net(out)

        # discriminator: which site do the features come from?
        label = torch.full((4, 1), float(site == "A"))
        loss_dis = mse(discriminator(feats.detach()), label)
        opt_d.zero_grad()
        loss_dis.backward()
        opt_d.step()

        # reconstruction + confuse the discriminator
        loss_rec = l1(out, target)
        loss_adv = mse(discriminator(feats), 1 - label)
        history["adv"].append(loss_adv.detach())
        loss = loss_rec + 0.1 * loss_adv
        opt_g.zero_grad()
        loss.backward()
        opt_g.step()
        history["rec"].append(loss_rec.item())
        history["dis"].append(loss_dis.item())


for rnd in range(4):
    local_update()
    print(rnd, {k: round(float(v[-1]), 4) for k, v in history.items()})
