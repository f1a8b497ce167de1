import torch
import torch.nn.functional as F
from modeling import TinyLM


class Tokenizer(dict):
    def add_tokens(self, tokens):
        new = [t for t in tokens if t not in self]
        self.update({t: len(self) + i for i, t in enumerate(new)})
        return len(new)


def group_parameters(model, weight_decay=0.01):
    no_decay = ("bias",)
    named = list(model.named_parameters())
    return [{"params": [p for n, p in named if not any(k in n for k in no_decay)], "weight_decay": weight_decay},
            {"params": [p for n, p in named if any(k in n for k in no_decay)], "weight_decay": 0.0}]


torch.manual_seed(23)
tokenizer = Tokenizer({chr(97 + i): i for i in range(26)})
lm = TinyLM(len(tokenizer))

if tokenizer.add_tokens(["<user>", "<bot>", "<eos>"]):
    lm.resize_token_embeddings(len(tokenizer))
optimizer = torch.optim.AdamW(group_parameters(lm), lr=3e-3)

for step in range(6):
    ids = torch.randint(0, len(tokenizer), (8, 1)) + torch.arange(9)
    ids = ids % len(tokenizer)
    logits = lm(ids[:, :-1])
    loss = F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())
    lm.zero_grad()
    loss.backward()
    optimizer.step()
    print("step", step, "loss", round(loss.item(), 4))
