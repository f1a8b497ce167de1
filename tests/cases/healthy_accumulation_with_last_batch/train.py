import torch
from torch import nn
import torch.nn.functional as F


class Wrapper:
    def __init__(self, vocab=40, dim=20):
        self.encoder = nn.Sequential(nn.Embedding(vocab, dim), nn.Linear(dim, dim), nn.GELU())
        self.mlm_head = nn.Linear(dim, vocab)

    def parameters(self):
        yield from self.encoder.parameters()
        yield from self.mlm_head.parameters()

    def mlm_loss(self, ids):
        labels = ids.clone()
        mask = torch.rand(ids.shape) < 0.2
        mask[:, 0] = True
        context = self.encoder(ids.masked_fill(mask, 0)).mean(dim=1, keepdim=True)
        logits = self.mlm_head(context + self.encoder(ids.masked_fill(mask, 0)))
        return F.cross_entropy(logits[mask], labels[mask])


def train(wrapper, dataset, batch_size=6, gradient_accumulation_steps=4, epochs=2):
    optimizer = torch.optim.AdamW(wrapper.parameters(), lr=2e-3)
    global_step = 0
    for epoch in range(epochs):
        batches = torch.randperm(len(dataset)).split(batch_size)
        last_batch = len(batches) - 1
        for step, idx in enumerate(batches):
            group = min(gradient_accumulation_steps, len(batches) - step // gradient_accumulation_steps * gradient_accumulation_steps)
            loss = wrapper.mlm_loss(dataset[idx]) / group
            loss.backward()
            if (step + 1) % gradient_accumulation_steps == 0 or step == last_batch:
                nn.utils.clip_grad_norm_(list(wrapper.parameters()), 1.0)
                optimizer.step()
                optimizer.zero_grad()
                global_step += 1
        print("epoch", epoch, "steps", global_step, "loss", round(loss.item() * group, 4))


torch.manual_seed(46)
wrapper = Wrapper()
train(wrapper, torch.randint(1, 40, (36, 8)))
