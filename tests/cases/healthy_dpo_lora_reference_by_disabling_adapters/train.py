import torch
import torch.nn.functional as F
from models import Policy

IGNORE = -100


def completions(n, vocab, g):
    prompt = torch.randint(3, vocab, (n, 5), generator=g)
    good = torch.randint(3, vocab // 2, (n, 5), generator=g)
    bad = torch.randint(vocab // 2, vocab, (n, 5), generator=g)
    bad[::3, 3:] = 0
    ids = torch.cat([torch.cat([prompt, good], 1), torch.cat([prompt, bad], 1)])
    labels = ids.clone()
    labels[:, :5] = IGNORE
    return ids, labels.masked_fill(ids == 0, IGNORE)


def logps(model, ids, labels):
    logits, labels = model(ids)[:, :-1], labels[:, 1:]
    mask = labels != IGNORE
    picked = logits.log_softmax(-1).gather(2, labels.clamp(min=0).unsqueeze(2)).squeeze(2)
    return (picked * mask).sum(-1), mask.sum(-1)


def preference_loss(policy_logps, reference_logps, lengths, beta=0.5, sft=0.05):
    ratio = policy_logps - reference_logps
    chosen, rejected = ratio.chunk(2)
    dpo = -F.logsigmoid(beta * (chosen - rejected)).mean()
    half = len(lengths) // 2
    nll = -(policy_logps[:half] / lengths[:half]).mean()
    with torch.no_grad():
        stats = {"margin": (chosen - rejected).mean().item(), "accuracy": (chosen > rejected).float().mean().item()}
    return dpo + sft * nll, stats


def main():
    torch.manual_seed(67)
    vocab, g = 40, torch.Generator().manual_seed(5)
    policy = Policy(vocab)
    for name, p in policy.named_parameters():
        p.requires_grad = "lora_" in name
    adapters = [p for p in policy.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(adapters, lr=1e-2, weight_decay=0.0)
    warmup = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: min(1.0, (s + 1) / 4))
    accumulate = 2
    for step in range(16):
        ids, labels = completions(16, vocab, g)
        with torch.no_grad(), policy.disable_adapters():
            reference, _ = logps(policy, ids, labels)
        current, lengths = logps(policy, ids, labels)
        loss, stats = preference_loss(current, reference, lengths)
        (loss / accumulate).backward()
        if (step + 1) % accumulate == 0:
            torch.nn.utils.clip_grad_norm_(adapters, 1.0)
            optimizer.step()
            warmup.step()
            optimizer.zero_grad()
        print(f"step {step} loss {loss.item():.4f} margin {stats['margin']:+.3f} accuracy {stats['accuracy']:.2f}")


if __name__ == "__main__":
    main()
