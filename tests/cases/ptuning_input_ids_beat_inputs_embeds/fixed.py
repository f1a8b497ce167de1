import torch
from fixed_models import PromptClassifier, TinyGPT


def collate(generator, n=16, length=10, vocab=50):
    ids = torch.randint(2, vocab, (n, length), generator=generator)
    labels = (ids > vocab // 2).float().mean(1).gt(0.5).long()
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels}


class Trainer:
    def __init__(self, model, lr):
        self.model = model
        trainable = [p for p in model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(trainable, lr=lr)
        self.scheduler = torch.optim.lr_scheduler.LinearLR(self.optimizer, 1.0, 0.2, total_iters=20)

    def training_step(self, batch):
        self.model.train()
        out = self.model(**batch)
        self.optimizer.zero_grad(set_to_none=True)
        out["loss"].backward()
        torch.nn.utils.clip_grad_norm_([p for p in self.model.parameters() if p.grad is not None], 1.0)
        self.optimizer.step()
        self.scheduler.step()
        return out["loss"].item(), (out["logits"].argmax(-1) == batch["labels"]).float().mean().item()


torch.manual_seed(11)
lm = TinyGPT(vocab=50)
model = PromptClassifier(lm, n_virtual=4, n_labels=2)
trainer = Trainer(model, lr=1e-2)
generator = torch.Generator().manual_seed(3)
for step in range(20):
    loss, acc = trainer.training_step(collate(generator))
    print(f"step {step} loss {loss:.4f} accuracy {acc:.2f}")
