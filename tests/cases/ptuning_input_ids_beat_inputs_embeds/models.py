import torch
from torch import nn


class Block(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.attn = nn.MultiheadAttention(d, 2, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(d, 2 * d), nn.GELU(), nn.Linear(2 * d, d))

    def forward(self, x, mask):
        h = self.ln1(x)
        x = x + self.attn(h, h, h, attn_mask=mask, need_weights=False)[0]
        return x + self.mlp(self.ln2(x))


class TinyGPT(nn.Module):
    def __init__(self, vocab, d=16, layers=2, positions=32):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocab, d), nn.Embedding(positions, d)
        self.blocks = nn.ModuleList(Block(d) for _ in range(layers))
        self.ln_f = nn.LayerNorm(d)

    def get_input_embeddings(self):
        return self.wte

    def forward(self, input_ids=None, inputs_embeds=None, **unused):
        h = inputs_embeds if input_ids is None else self.wte(input_ids)
        t = h.shape[1]
        h = h + self.wpe.weight[:t]
        mask = torch.ones(t, t, dtype=torch.bool).triu(1)
        for block in self.blocks:
            h = block(h, mask)
        return self.ln_f(h)


class PromptEncoder(nn.Module):
    """P-tuning: an LSTM re-parameterises the virtual tokens."""

    def __init__(self, n, d):
        super().__init__()
        self.virtual = nn.Parameter(torch.randn(n, d) * 0.5)
        self.lstm = nn.LSTM(d, d // 2, bidirectional=True, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(d, d), nn.ReLU(), nn.Linear(d, d))

    def forward(self, batch_size):
        out, _ = self.lstm(self.virtual[None])
        return self.mlp(out).expand(batch_size, -1, -1)


class PromptClassifier(nn.Module):
    def __init__(self, lm, n_virtual, n_labels):
        super().__init__()
        self.lm = lm.requires_grad_(False)
        d = lm.wte.embedding_dim
        self.prompt_encoder = PromptEncoder(n_virtual, d)
        self.score = nn.Linear(d, n_labels)

    def forward(self, **batch):
        labels = batch.pop("labels", None)
        prompts = self.prompt_encoder(len(batch["input_ids"]))
        words = self.lm.get_input_embeddings()(batch["input_ids"])
        batch["inputs_embeds"] = torch.cat([prompts, words], dim=1)
        hidden = self.lm(**batch)
        logits = self.score(hidden.mean(dim=1))
        loss = None if labels is None else nn.functional.cross_entropy(logits, labels)
        return {"loss": loss, "logits": logits}
