import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(5)


class Tokenizer:
    def __init__(self, words):
        self.ids = {w: i for i, w in enumerate(words)}

    def add_tokens(self, tokens):
        for t in tokens:
            self.ids.setdefault(t, len(self.ids))

    def __len__(self):
        return len(self.ids)

    def __call__(self, texts):
        return torch.tensor([[self.ids[w] for w in t.split()] for t in texts])

    def convert_tokens_to_ids(self, tokens):
        return [self.ids[t] for t in tokens]


class TextEncoder(nn.Module):
    def __init__(self, vocab, dim=16):
        super().__init__()
        self.token_embedding = nn.Embedding(vocab, dim)
        self.layer = nn.GRU(dim, dim, batch_first=True)

    def resize_token_embeddings(self, n):
        new = nn.Embedding(n, self.token_embedding.embedding_dim)
        new.weight.data[: self.token_embedding.num_embeddings] = self.token_embedding.weight.data
        self.token_embedding = new

    def forward(self, ids):
        return self.layer(self.token_embedding(ids))[0]


class UNet(nn.Module):
    def __init__(self, latent=8, dim=16):
        super().__init__()
        self.inp, self.ctx, self.out = nn.Linear(latent + 1, 32), nn.Linear(dim, 32), nn.Linear(32, latent)

    def forward(self, z, t, cond):
        return self.out(torch.relu(self.inp(torch.cat([z, t[:, None]], 1)) + self.ctx(cond.mean(1))))


tokenizer = Tokenizer("a photo of the good small rendition cropped toy".split())
text_encoder, unet = TextEncoder(len(tokenizer)), UNet()
placeholder_tokens = ["<cat-toy>"]
tokenizer.add_tokens(placeholder_tokens)
placeholder_token_ids = tokenizer.convert_tokens_to_ids(placeholder_tokens)
text_encoder.resize_token_embeddings(len(tokenizer))
embeds = text_encoder.token_embedding
embeds.weight.data[placeholder_token_ids] = embeds.weight.data[tokenizer.ids["toy"]].clone()

unet.requires_grad_(False)
text_encoder.layer.requires_grad_(False)
optimizer = torch.optim.AdamW(embeds.parameters(), lr=5e-3)
orig_embeds_params = embeds.weight.data.clone()
index_no_updates = torch.ones(len(tokenizer), dtype=torch.bool)
index_no_updates[min(placeholder_token_ids) : max(placeholder_token_ids)] = False

templates = ["a photo of the {}", "the cropped photo of {}", "a good rendition of {}", "a photo of small {}"]
images = torch.randn(4, 8) * 0.1 + torch.linspace(-1, 1, 8)
alphas = torch.linspace(0.99, 0.05, 100)
for step in range(30):
    prompts = [templates[i].format(placeholder_tokens[0]) for i in torch.randint(0, 4, (4,)).tolist()]
    noise, t = torch.randn(4, 8), torch.randint(0, 100, (4,))
    a = alphas[t][:, None]
    pred = unet(a.sqrt() * images + (1 - a).sqrt() * noise, t / 100, text_encoder(tokenizer(prompts)))
    loss = F.mse_loss(pred, noise)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    with torch.no_grad():
        embeds.weight[index_no_updates] = orig_embeds_params[index_no_updates]
    if step % 10 == 0:
        print(f"step {step} loss {loss.item():.4f}")
