import torch
from torch import nn, optim

torch.manual_seed(18)


def build_model():
    g_model = nn.Sequential(nn.Conv2d(3, 16, 5, padding=2), nn.PReLU(), nn.Conv2d(16, 12, 3, padding=1), nn.PixelShuffle(2))
    d_model = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(8, 16, 3, 2, 1),
                            nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(256, 1))
    return g_model, d_model


def define_optimizer(g_model, d_model):
    g_optimizer = optim.Adam(g_model.parameters(), 1e-4, (0.9, 0.999))
    d_optimizer = optim.Adam(d_model.parameters(), 1e-4, (0.9, 0.999))
    return g_optimizer, d_optimizer


g_model, d_model = build_model()
g_optimizer, d_optimizer = define_optimizer(g_model, d_model)
content_criterion, adversarial_criterion = nn.L1Loss(), nn.BCEWithLogitsLoss()
real_label, fake_label = torch.ones(4, 1), torch.zeros(4, 1)

for batch_index in range(4):
    gt = torch.rand(4, 3, 16, 16)
    lr = nn.functional.avg_pool2d(gt, 2)

    for d_parameters in d_model.parameters():
        d_parameters.requires_grad = False
    g_model.zero_grad(set_to_none=True)
    sr = g_model(lr)
    g_loss = content_criterion(sr, gt) + 5e-3 * adversarial_criterion(d_model(sr), real_label)
    g_loss.backward()
    g_optimizer.step()

    for d_parameters in d_model.parameters():
        d_parameters.requires_grad = True
    d_model.zero_grad(set_to_none=True)
    d_loss_gt = adversarial_criterion(d_model(gt), real_label)
    d_loss_gt.backward()
    d_loss_sr = adversarial_criterion(d_model(sr.detach().clone()), fake_label)
    d_loss_sr.backward()
    d_loss = d_loss_gt + d_loss_sr
    d_optimizer.step()
    print(f"batch {batch_index} D {d_loss.item():.4f} G {g_loss.item():.4f}")
