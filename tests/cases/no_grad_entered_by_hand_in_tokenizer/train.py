import torch
from torch import nn

from visual_tokens import VisualTokenizer

torch.manual_seed(14)


class ActionModel(nn.Module):
    def __init__(self, dim=16, actions=4):
        super().__init__()
        layer = nn.TransformerEncoderLayer(dim, 2, 32, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.policy = nn.Linear(dim, actions)

    def forward(self, tokens):
        return self.policy(self.encoder(tokens)[:, 0])


class Runner:
    def __init__(self):
        self.tokenizer = VisualTokenizer()
        self.action_model = ActionModel()
        self.optim = torch.optim.Adam(
            [{"params": self.tokenizer.parameters()}, {"params": self.action_model.parameters()}], lr=1e-3)

    def behaviour_cloning(self, n):
        for k in range(n):
            frames, expert = torch.rand(8, 3, 8, 8), torch.randint(0, 4, (8,))
            tokens = self.tokenizer.tokenize(frames)
            loss = nn.functional.cross_entropy(self.action_model(tokens), expert)
            self.optim.zero_grad(set_to_none=True)
            loss.backward()
            self.optim.step()
            yield k, loss.item()


runner = Runner()
for k, value in runner.behaviour_cloning(5):
    print(f"bc step {k} loss {value:.4f}")
