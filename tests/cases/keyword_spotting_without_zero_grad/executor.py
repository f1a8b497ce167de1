import torch


class Executor:
    def __init__(self):
        self.step = 0

    def train(self, model, optimizer, data, args):
        model.train()
        clip = args.get("grad_clip", 50.0)
        for feats, target in data:
            loss = torch.nn.functional.cross_entropy(model(feats), target)
            loss.backward()
            grad_norm = torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
            if torch.isfinite(grad_norm):
                optimizer.step()
            self.step += 1
            print(f"step {self.step} loss {loss.item():.4f} norm {grad_norm:.3f}")
