"""Draw everything that can be drawn of every case: graphs, figures, pages. Exit status 1 if anything failed.

python benchmarks/pictures_of_cases.py                        # all of them
python benchmarks/pictures_of_cases.py healthy                # those whose name has a word in it
python benchmarks/pictures_of_cases.py --every 3              # a third of them
python benchmarks/pictures_of_cases.py --folder other/cases   # those of another folder
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import matplotlib as mpl

from gradscope.render.html import render_page
from gradscope.report import Report
from gradscope.runfile import open_run
from tests.case_runner import CASES, Server
from tests.render.every_picture import failures


def main() -> int:
    options = _options()
    mpl.use("Agg")
    warnings.simplefilter("error")
    cases = [path.parent for path in sorted(options.folder.glob("*/train.py"))]
    cases = [case for case in cases if all(word in case.name for word in options.words)][:: options.every]
    server, failed, sizes = Server(), 0, []
    with tempfile.TemporaryDirectory() as scratch:
        for number, case in enumerate(cases):
            facts = Path(scratch, f"{number}.gradscope")
            try:
                server.findings(case, "train.py", facts)
                report = Report(open_run(facts).run)
                found = list(failures(report))
                sizes.append(len(render_page(report)))
            except Exception as error:  # noqa: BLE001 - whatever went wrong is what is looked for
                found = [f"{type(error).__name__}: {error}"]
            failed += bool(found)
            for line in found:
                print(f"{case.name}: {line}", flush=True)
    server.close()
    sizes.sort()
    if sizes:
        print(f"pages: median {sizes[len(sizes) // 2] / 1000:.0f} kB, largest {sizes[-1] / 1000:.0f} kB")
    print(f"{len(cases)} cases, {failed} with failures")
    return bool(failed)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", metavar="WORD")
    parser.add_argument("--folder", type=Path, default=CASES)
    parser.add_argument("--every", type=int, default=1, metavar="N")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
