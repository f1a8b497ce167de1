import torch
from torch import nn

ARGS = dict(per_gpu_batch_size=8, gradient_accumulation_steps=8, num_train_epochs=2, lr=5e-4, max_grad_norm=1.0)


class Encoder(nn.Module):
    def __init__(self, vocab=60, dim=20):
        super().__init__()
        self.tok = nn.Embedding(vocab, dim)
        self.layer = nn.TransformerEncoderLayer(dim, 2, 40, dropout=0.0, batch_first=True)

    def forward(self, ids):
        return self.layer(self.tok(ids))[:, 0]


def train(args, encoder, classifier, dataset):
    params = list(encoder.parameters()) + list(classifier.parameters())
    optimizer = torch.optim.AdamW(params, lr=args["lr"])
    ids, labels = dataset
    global_step, tr_loss = 0, 0.0
    optimizer.zero_grad()
    for _ in range(args["num_train_epochs"]):
        epoch_iterator = torch.randperm(len(ids)).split(args["per_gpu_batch_size"])
        for step, idx in enumerate(epoch_iterator):
            logits = classifier(encoder(ids[idx]))
            loss = nn.functional.cross_entropy(logits, labels[idx])
            loss = loss / args["gradient_accumulation_steps"]
            loss.backward()
            tr_loss += loss.item()
            if (step + 1) % args["gradient_accumulation_steps"] == 0 or step + 1 == len(epoch_iterator):
                torch.nn.utils.clip_grad_norm_(params, args["max_grad_norm"])
                optimizer.step()
                optimizer.zero_grad()
                global_step += 1
    return global_step, tr_loss


torch.manual_seed(17)
encoder, classifier = Encoder(), nn.Linear(20, 2)
ids = torch.randint(0, 60, (32, 8))
global_step, tr_loss = train(ARGS, encoder, classifier, (ids, (ids[:, 0] > 30).long()))
print("global_step", global_step, "average loss", tr_loss)
