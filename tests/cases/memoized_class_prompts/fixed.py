import torch
import torch.nn.functional as F
from text_tower_fixed import OpenVocabHead

CLASSES = ["cat", "dog", "bus", "bicycle", "person"]
torch.manual_seed(3)
head = OpenVocabHead(CLASSES)
optim = torch.optim.SGD([
    {"params": head.prompt_learner.parameters(), "lr": 0.02},
    {"params": head.visual_proj.parameters(), "lr": 0.05},
], momentum=0.9)

centers = torch.randn(len(CLASSES), 16)


def sample_regions(n=32):
    labels = torch.randint(0, len(CLASSES), (n,))
    return centers[labels] + 0.3 * torch.randn(n, 16), labels


def train_one_epoch(epoch, iters=8):
    head.train()
    running = 0.0
    for _ in range(iters):
        regions, labels = sample_regions()
        logits = head(regions, CLASSES)
        loss = F.cross_entropy(logits, labels)
        optim.zero_grad()
        loss.backward()
        optim.step()
        running += loss.item() / iters
    print(f"epoch {epoch}: cls loss {running:.4f} ctx norm {head.prompt_learner.ctx.norm().item():.5f}")


@torch.no_grad()
def evaluate():
    head.eval()
    regions, labels = sample_regions(128)
    print(f"accuracy {(head(regions, CLASSES).argmax(1) == labels).float().mean().item():.3f}")


for epoch in range(3):
    train_one_epoch(epoch)
evaluate()
