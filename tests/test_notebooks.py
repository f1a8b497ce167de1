"""The notebooks run in a fresh kernel, find what they are about, and are stored as a code host can show them."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from nbformat import NotebookNode

nbformat = pytest.importorskip("nbformat")
pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

FOLDER = Path(__file__).parents[1] / "notebooks"
LARGEST = 300_000
"""Bytes; code hosts show nothing of notebooks that are much larger."""

CUT = "gets no gradient: detach() cuts its output out of the graph at cell_2.py:"
KEY = {
    "01_two_models_one_loss": (
        f"lower {CUT}9.",
        "encoder gets no gradient: its result goes through numpy",
        "decoder gets only zeros as gradient: it is multiplied by zero on the way to the loss at",
        "✓ Gradients flow in all 3 models",
    ),
    "02_find_the_line": (
        "encoder gets no gradient: item, line 12 of standardise()",
        "values = torch.tensor(code.tolist())",
        "✓ Gradients flow in both models",
        "If it is meant: assert_flow(allow=",
    ),
    "03_gan_that_will_not_train": (f"generator {CUT}5.", "g_loss.backward()", "✓ Gradients flow in both models"),
    "04_gradients_over_a_long_run": (
        "the scheduler takes its learning rate to practically zero at",
        "schedule.step()",
        "✓ Gradients flow in all 3 models",
    ),
}


def test_each_notebook_has_a_key_finding() -> None:
    assert {path.stem for path in FOLDER.glob("*.ipynb")} == set(KEY)


@pytest.mark.filterwarnings("ignore")  # of Jupyter's own parts, about sockets and event loops
@pytest.mark.parametrize("name", sorted(KEY))
def test_fresh_kernel_finds_it(name: str, tmp_path: Path) -> None:
    execute = runpy.run_path(str(FOLDER / "execute.py"))["execute"]

    done = execute(FOLDER / f"{name}.ipynb", tmp_path)

    assert _missing(done, name) == []


@pytest.mark.parametrize("name", sorted(KEY))
def test_stored_outputs_show_it(name: str) -> None:
    path = FOLDER / f"{name}.ipynb"
    stored = nbformat.read(path, as_version=4)
    nbformat.validate(stored)
    text = path.read_text(encoding="utf-8")

    assert _missing(stored, name) == []
    assert path.stat().st_size < LARGEST
    assert "<iframe" not in text
    assert re.findall(r"/(?:tmp|home|root|Users|work)/\w+", text) == []
    counts = [cell.execution_count for cell in stored.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))


def _missing(notebook: NotebookNode, name: str) -> list[str]:
    """Of the key findings those that no output says."""
    said = " ".join("\n".join(_texts(notebook)).split())
    return [key for key in KEY[name] if key not in said]


def _texts(notebook: NotebookNode) -> list[str]:
    outputs: list[Any] = [o for cell in notebook.cells if cell.cell_type == "code" for o in cell.outputs]
    return [o.get("text") or o.get("data", {}).get("text/plain", "") for o in outputs]
