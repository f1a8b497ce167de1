import torch
from torch import nn
from pipeline_fixed import Pipeline

torch.manual_seed(25)
pipe = Pipeline()
reward_model = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 1)).requires_grad_(False)

optimizer = torch.optim.AdamW([
    {"params": pipe.unet.parameters(), "lr": 1e-3},
    {"params": pipe.vae_decoder.parameters(), "lr": 1e-4},
])

for step in range(6):
    latents = pipe(batch_size=16, output_type="latent")
    images = pipe.decode(latents)
    reward = reward_model(images).mean()
    loss = -reward + 1e-3 * images.pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"step {step}: reward {reward.item():+.4f}")
