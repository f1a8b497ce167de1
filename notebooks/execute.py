"""Executes the notebooks beside this file and stores them with their outputs: `python notebooks/execute.py [NAME ...]`.

* The notebooks are the source: edit them in Jupyter, then run this, so that what is stored is what a fresh kernel says.
* Cells are called `cell_3.py` instead of the path that Jupyter makes up, which differs from run to run.
* The interactive page in a frame is left out: code hosts do not show it, and it is nine tenths of the size.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

FOLDER = Path(__file__).parent
TIMEOUT = 300
"""Seconds for one cell."""

SETUP = """
import os
get_ipython().events.register(
    "pre_run_cell",
    lambda info: os.environ.update(IPYKERNEL_CELL_NAME=f"cell_{get_ipython().execution_count - 2}.py"),
)
"""
_FRAME = re.compile(
    r"<details[^>]*><summary[^>]*>Full report</summary><iframe .*?</iframe><style>.*?</style></details>", re.DOTALL
)


def execute(path: Path, folder: Path) -> NotebookNode:
    """The notebook as a fresh kernel fills it, run in `folder`; raises CellExecutionError if a cell fails."""
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.insert(0, nbformat.v4.new_code_cell(SETUP))
    place = {"metadata": {"path": str(folder)}}
    client = NotebookClient(notebook, timeout=TIMEOUT, kernel_name="python3", coalesce_streams=True, resources=place)
    client.execute(env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"})
    del notebook.cells[0]
    for cell in notebook.cells:
        cell.metadata.clear()  # when each cell ran
        if cell.cell_type == "code":
            cell.execution_count -= 1
            for output in cell.outputs:
                _settle(output)
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return notebook


def _settle(output: NotebookNode) -> None:
    """Take out of one output what is different the next time, and the frame."""
    if "execution_count" in output:
        output.execution_count -= 1
    data = output.get("data", {})
    if "text/html" in data:
        data["text/html"] = _FRAME.sub("", data["text/html"])


def main(names: list[str]) -> None:
    for path in sorted(FOLDER.glob("*.ipynb")):
        if not names or path.stem in names or path.name in names:
            nbformat.write(execute(path, FOLDER), path)
            print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main(sys.argv[1:])
