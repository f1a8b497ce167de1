"""Writes the generated parts of README.md and draws its pictures, each from a real run: `python assets/make.py`.

A part stands between `<!-- begin: NAME -->` and `<!-- end: NAME -->`; tests/test_readme.py asks whether it is true.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from gradscope.cli.rules import summary
from gradscope.diagnosis.rules import RULES

ASSETS = Path(__file__).parent
ROOT = ASSETS.parent
README = ROOT / "README.md"
CONSTRAINTS = ROOT / "constraints.txt"

GALLERY = {
    "inference_mode_decorator_on_retriever": "graph",
    "loss_terms_on_the_next_line": "graph",
    "domain_loss_added_to_its_negative": "plot_heatmap",
    "ctc_transcript_longer_than_downsampled_audio": "plot_norms",
    "context_encoder_only_sets_initial_state": "plot_depth",
    "classifier_replaced_after_configure": "graph",
}
"""Case and what is drawn of it."""
TESTED = {
    "core and drawing": ("torch", "numpy", "matplotlib", "graphviz", "torchviz", "pygraphviz"),
    "tests": ("pytest", "pytest-xdist", "jsonschema"),
    "trainers": ("pytorch-lightning", "transformers", "accelerate"),
    "trackers": ("tensorboard", "wandb", "mlflow-skinny", "trackio"),
    "notebooks and frames": ("ipython", "nbclient", "pandas", "polars"),
}


def example() -> str:
    """The example and what it prints."""
    code = (ASSETS / "example.py").read_text(encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "example.py"], check=True, cwd=ASSETS, stdout=subprocess.PIPE, encoding="utf-8"
    )
    return f"```python\n{code}```\n\n```\n{done.stdout.rstrip()}\n```"


def rules() -> str:
    """The table of all rules; the first line of each manual says what it finds."""
    rows = [f"| {rule.code} | {rule.name} | {summary(rule)} |" for rule in RULES]
    return "\n".join(["| code | name | finds |", "| --- | --- | --- |", *rows])


def gallery() -> str:
    """What is found in some scripts of tests/cases."""
    import pictures  # beside this file: found when it is run, not when a test reads it

    with tempfile.TemporaryDirectory() as folder:
        reports = {case: pictures.run(ROOT / "tests" / "cases" / case, Path(folder, case)) for case in GALLERY}
        for case, what in GALLERY.items():
            pictures.draw(reports[case], what, ASSETS / "gallery" / f"{case}.svg")
        return gallery_table([gallery_cell(case, report.to_dict()["findings"]) for case, report in reports.items()])


def gallery_cell(case: str, findings: list[dict[str, Any]]) -> str:
    """One case: its picture, its worst finding and the line to blame."""
    worst = findings[0]
    picture = f'<img src="assets/gallery/{case}.svg" alt="{GALLERY[case]} of {case}" width="380">'
    code = worst["location"]["text"].replace("|", "\\|")
    return f"{picture}<br>[{case}](tests/cases/{case}/train.py): {worst['message']}<br>`{code}`"


def gallery_table(cells: list[str]) -> str:
    """Two cases a row."""
    rows = [f"| {left} | {right} |" for left, right in zip(cells[::2], cells[1::2], strict=True)]
    return "\n".join(["| | |", "| --- | --- |", *rows])


def tested() -> str:
    """The versions that the tests run against, as a table with a column per kind."""
    pinned = dict(re.findall(r"^([\w.-]+)==(\S+)$", CONSTRAINTS.read_text(encoding="utf-8"), re.MULTILINE))
    cells = ["<br>".join(f"{name} {pinned[name]}" for name in names) for names in TESTED.values()]
    rows = (TESTED, ["---"] * len(TESTED), cells)
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


PARTS = {"example": example, "rules": rules, "gallery": gallery, "tested": tested}


def insert(text: str, name: str, part: str) -> str:
    """The text with one part replaced."""
    pattern = re.compile(f"(<!-- begin: {name} -->\n).*?(<!-- end: {name} -->)", re.DOTALL)
    assert pattern.search(text), f"README.md has no place for {name}"
    return pattern.sub(lambda match: f"{match[1]}{part}\n{match[2]}", text)


def main(names: list[str]) -> None:
    """Write the parts that are named, or all of them and the pictures."""
    text = README.read_text(encoding="utf-8")
    for name, make in PARTS.items():
        if not names or name in names:
            text = insert(text, name, make())
    README.write_text(text, encoding="utf-8")
    if not names:
        import pictures

        pictures.main()


if __name__ == "__main__":
    main(sys.argv[1:])
