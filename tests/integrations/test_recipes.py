"""The page of recipes runs as it is written: each block with models, data and trainers of the kind it speaks of."""

from __future__ import annotations

import re
import shlex
from collections import OrderedDict
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn

import gradscope
from gradscope.cli.main import main
from gradscope.report import Report

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.filterwarnings("ignore")
PAGE = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
SUITE = """
import torch
from torch import nn
import pytest
torch.manual_seed(0)
encoder, decoder = nn.Linear(4, 3), nn.Linear(3, 1)
optimizer = torch.optim.SGD([*encoder.parameters(), *decoder.parameters()], 0.1)
def step():
    optimizer.zero_grad()
    hidden = encoder(torch.ones(2, 4))
    decoder(HIDDEN).square().mean().backward()
    optimizer.step()
def train(steps):
    for _ in range(steps):
        step()
"""


def blocks(title, language="python"):
    return re.findall(rf"^```{language}\n(.*?)^```", SECTIONS[title], re.MULTILINE | re.DOTALL)


@pytest.fixture
def world(tmp_path, monkeypatch):
    """What the page says it stands for: models, a scope that watches them, a loop."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    encoder, decoder = nn.Sequential(OrderedDict(layers=nn.Linear(4, 3))), nn.Linear(3, 1)
    optimizer = torch.optim.SGD([*encoder.parameters(), *decoder.parameters()], 0.1)
    loader = [torch.randn(2, 4) for _ in range(8)]

    def train_step(batch):
        optimizer.zero_grad()
        decoder(encoder(batch).detach()).square().mean().backward()
        optimizer.step()

    scope = gradscope.watch(encoder=encoder, decoder=decoder)
    names = "gradscope", "encoder", "decoder", "optimizer", "loader", "train_step", "scope"
    yield dict(zip(names, (gradscope, encoder, decoder, optimizer, loader, train_step, scope), strict=True))
    scope.close()


def run(title, world):
    for code in blocks(title):
        exec(code, world)
    return world


def train(world, scope):
    for batch in scope.steps(world["loader"]):
        world["train_step"](batch)


def test_run_files(world, capsys):
    world["scope"].close()
    run("Run files", world)
    (console,) = blocks("Run files", "console")
    for name in ("before", "after"):
        Path(f"{name}.gradscope").write_bytes(Path("run.gradscope").read_bytes())
    for line in console.splitlines():
        command = line.removeprefix("$ ").partition("#")[0]
        assert main(shlex.split(command)[1:]) == 0, line

    assert isinstance(world["report"], Report)
    assert world["report"].findings[0].model == "encoder"
    assert "nothing changed" in capsys.readouterr().out


def test_pictures(world):
    import matplotlib.pyplot as plt

    train(world, world["scope"])
    world["axes"] = plt.subplots(2)[1]
    run("Pictures", world)
    world["loss"] = world["decoder"](world["encoder"](torch.ones(2, 4))).sum()

    assert {"report.html", "norms.png"} <= {path.name for path in Path().iterdir()}
    for call in re.findall(r"`(gradscope\.graph\(.*?\))`", SECTIONS["Pictures"]):
        assert eval(call, world).source
    for name in re.findall(r"`(plot_\w+)`", SECTIONS["Pictures"]):
        assert getattr(world["report"], name)()


def test_data_frames(world):
    pytest.importorskip("pandas")
    train(world, world["scope"])
    (code,) = blocks("Data frames")
    first, last = code.strip().splitlines()
    exec(first, world)

    assert list(eval(last, world).model) == ["encoder", "encoder"]


@pytest.mark.parametrize(("hidden", "failed"), [("hidden", 0), ("hidden.detach()", 2)])
def test_pytest(hidden, failed, pytester):
    pytester.makepyfile(SUITE.replace("HIDDEN", hidden) + "".join(blocks("pytest")))
    options = re.findall(r"^\$ pytest (\S+)", "".join(blocks("pytest", "console")), re.MULTILINE)

    for option in ["--gradscope-strict"] if not failed else options:
        pytester.runpytest_subprocess(option).assert_outcomes(passed=2 - failed, failed=failed)
    assert options == ["--gradscope", "--gradscope-strict"]


def test_lightning(world, tmp_path):
    lightning = pytest.importorskip("pytorch_lightning")
    world["scope"].close()

    class Pair(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.encoder, self.decoder = nn.Linear(4, 3), nn.Linear(3, 1)

        def training_step(self, batch, _):
            return self.decoder(self.encoder(batch).detach()).square().mean()

        def train_dataloader(self):
            return torch.utils.data.DataLoader(world["loader"], batch_size=None)

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), 0.1)

    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
    world["Trainer"] = partial(
        lightning.Trainer, max_epochs=1, accelerator="cpu", logger=False, default_root_dir=tmp_path, **quiet
    )
    world["module"] = Pair()

    assert run("PyTorch Lightning", world)["callback"].report.findings[0].model == "encoder"


def test_hugging_face(world, tmp_path):
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("accelerate")
    world["scope"].close()

    class Pair(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder, self.decoder = nn.Linear(4, 3), nn.Linear(3, 1)

        def forward(self, x, labels):
            return {"loss": self.decoder(self.encoder(x).detach()).square().mean()}

    options = {"report_to": [], "save_strategy": "no", "disable_tqdm": True, "use_cpu": True}
    world |= {
        "Trainer": transformers.Trainer,
        "model": Pair(),
        "args": transformers.TrainingArguments(str(tmp_path), max_steps=6, per_device_train_batch_size=2, **options),
        "data": [{"x": torch.randn(4), "labels": 0} for _ in range(12)],
    }

    assert run("Hugging Face Trainer", world)["callback"].report.findings[0].model == "encoder"


def test_accelerate(world):
    world["scope"].close()
    world["accelerator"] = pytest.importorskip("accelerate").Accelerator(cpu=True)
    run("Accelerate", world)
    train(world, world["scope"])

    assert [finding.model for finding in world["scope"].report().findings] == ["encoder"]


def test_trackers(world, tmp_path, capsys):
    pytest.importorskip("tensorboard")
    from torch.utils.tensorboard import SummaryWriter

    world["writer"] = SummaryWriter(str(tmp_path))
    run("Trackers", world)
    train(world, world["scope"])
    world["finish"]()
    world["writer"].close()
    finish = world["attach_sink"](world["scope"], world["PrintSink"]())
    train(world, world["scope"])
    finish()

    assert list(tmp_path.glob("events.out.tfevents*"))
    assert "gradscope/grad_norm/decoder" in capsys.readouterr().out


@pytest.mark.parametrize("name", re.findall(r"`(gradscope\.integrations\.\w+\.\w+)\(", SECTIONS["Trackers"]))
def test_sinks_of_the_table_exist(name):
    module, _, sink = name.rpartition(".")

    assert callable(getattr(pytest.importorskip(module), sink))


def test_ipython():
    shell = pytest.importorskip("IPython.testing.globalipapp")
    shell = shell.get_ipython() or shell.start_ipython()
    shell.run_cell(SUITE.replace("HIDDEN", "hidden.detach()"))
    for cell in blocks("IPython and Jupyter"):
        shell.run_cell(cell).raise_error()

    assert shell.user_ns["report"].findings[0].model == "encoder"
    shell.reset()
