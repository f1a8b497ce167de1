"""Draw everything that can be drawn of every case: graphs, figures, pages. Exit status 1 if anything failed.

python benchmarks/pictures_of_cases.py            # all of them
python benchmarks/pictures_of_cases.py healthy    # those whose name has a word in it
"""

from __future__ import annotations

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
    mpl.use("Agg")
    warnings.simplefilter("error")
    words = sys.argv[1:]
    cases = [case for case in sorted(CASES.glob("*/")) if all(word in case.name for word in words)]
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


if __name__ == "__main__":
    sys.exit(main())
