"""Add domain words to a pretrained multilingual tagger. In every table only the new rows
may move; the table of control symbols stays as it was released."""
import torch
import torch.nn as nn

torch.manual_seed(13)
ROWS, DIM = 40, 16
FIRST_NEW = {"english": 28, "german": 33, "control": ROWS}


class Multilingual(nn.Module):
    def __init__(self):
        super().__init__()
        self.tables = nn.ModuleDict({name: nn.Embedding(ROWS, DIM) for name in FIRST_NEW})
        self.mix = nn.Sequential(nn.Linear(2 * DIM, 32), nn.ReLU())
        self.tagger = nn.Linear(32, 5)

    def forward(self, language, words, symbols):
        w = self.tables[language](words).mean(1)
        s = self.tables["control"](symbols)
        return self.tagger(self.mix(torch.cat([w, s], dim=1)))


def protect_old_rows(tables, first_new):
    rows = torch.arange(ROWS).unsqueeze(1)
    handles = []
    for name, table in tables.items():
        trainable = (rows >= first_new[name]).float()
        handles.append(table.weight.register_hook(lambda grad, keep=trainable: grad * keep))
    return handles


def corpus(language, n=32):
    words = torch.randint(0, ROWS, (n, 6))
    words[:, :2] = torch.randint(FIRST_NEW[language], ROWS, (n, 2))
    symbols = torch.randint(0, ROWS, (n,))
    return words, symbols, words[:, 0] % 5


model = Multilingual()
handles = protect_old_rows(model.tables, FIRST_NEW)
optimizer = torch.optim.Adam(
    [
        {"params": model.tables.parameters(), "lr": 2e-2},
        {"params": [*model.mix.parameters(), *model.tagger.parameters()], "lr": 2e-3},
    ]
)
for step in range(12):
    optimizer.zero_grad()
    line = []
    for language in ("english", "german"):
        words, symbols, tags = corpus(language)
        loss = nn.functional.cross_entropy(model(language, words, symbols), tags)
        loss.backward()
        line.append(f"{language} {loss.item():.3f}")
    optimizer.step()
    print(step, *line)
