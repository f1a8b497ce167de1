"""Draws the pictures of README.md into assets/, each from a real run: `python assets/pictures.py`.

* A script is run by `gradscope run --out` as a user would, and drawn from its run file: the same facts, the same bytes.
* The page is photographed by a headless Chromium; where there is none, its picture is left as it is.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib

from gradscope.report import Report
from gradscope.runfile import read_run

HERE = Path(__file__).parent
ROOT = HERE.parent
DEMO = ROOT / "gradscope" / "demo"
CUT = DEMO / "two_into_one" / "detached.py"
TWO_LOSSES = ROOT / "tests" / "cases" / "healthy_dcgan_alternating_updates"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PAGE_SIZE = (1100, 2130)
NOISE = re.compile(r"(\d\.\d\d)\d+(?=[^<>]*>)")
"""The last digits of coordinates, which differ from run to run; not those of labels."""


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        report = run(CUT, folder / "cut")
        for form in ("svg", "png"):
            report.graph().save(HERE / f"cut.{form}")
        figure = report.plot_histograms()
        figure.savefig(HERE / "histograms.png", dpi=110, bbox_inches="tight", metadata={"Software": None})
        with contextlib.chdir(folder / "cut"):  # where the page finds the source lines it quotes
            page = report.save("report.html").absolute()
        photograph(page, HERE / "page.png")
        figure = run(TWO_LOSSES, folder / "flow").plot_flow()
        figure.savefig(HERE / "flow.png", dpi=110, bbox_inches="tight", metadata={"Software": None})


def run(script: Path, folder: Path) -> Report:
    """Run a script, or the `train.py` of a folder, in a copy of its own, and read what was seen."""
    if script.is_dir():
        shutil.copytree(script, folder)
        target = folder / "train.py"
    else:
        folder.mkdir()
        target = Path(shutil.copy(script, folder))
    command = [sys.executable, "-m", "gradscope", "run", "--quiet", "--out", "run.gradscope", target.name]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return Report(read_run(folder / "run.gradscope"))


def draw(report: Report, what: str, picture: Path) -> None:
    """Save the graph, folded to its models and their first modules, or a figure."""
    picture.parent.mkdir(exist_ok=True)
    if what == "graph":
        report.graph(1).save(picture)
        return
    figure = getattr(report, what)()
    figure.set_size_inches(6.4, min(figure.get_figheight(), 4.8))
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "gradscope"}):
        figure.savefig(picture, bbox_inches="tight", metadata={"Date": None, "Creator": None})
    drawn = picture.read_text(encoding="utf-8")
    picture.write_text(NOISE.sub(r"\1", drawn), encoding="utf-8")


def photograph(page: Path, picture: Path) -> None:
    """A screenshot of a page, where there is a browser."""
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        print(f"no Chromium here: {picture.name} is left as it is")
        return
    width, height = PAGE_SIZE
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--window-size={width},{height}"]
    subprocess.run(
        [browser, *options, f"--screenshot={picture}", page.as_uri()],
        check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120,
    )  # fmt: skip


if __name__ == "__main__":
    main()
