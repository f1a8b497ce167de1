"""False alarms on real architectures: every tiny `transformers` model that builds offline, trained and judged.

    python benchmarks/zoo.py                # all of them, traced, stepped and only watched
    python benchmarks/zoo.py bert gpt2      # some
    python benchmarks/zoo.py --seconds 20   # time that one of them may take

The oracle is the same training without gradscope. Exit status 1 if anything was wrong.
"""

from __future__ import annotations

import argparse
import gc
import signal
import sys
import time
import warnings
from pathlib import Path
from typing import NoReturn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
import transformers

from tests.zoo_judge import Verdict, judge
from tests.zoo_recipe import architectures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("types", nargs="*", help="model types; all of them without")
    parser.add_argument("--seconds", type=int, default=60, help="time that one of them may take")
    parser.add_argument("--verbose", action="store_true", help="a line for every architecture, with its time")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    signal.signal(signal.SIGALRM, _too_slow)
    verdicts: list[Verdict] = []
    unbuilt: dict[str, str] = {}
    for model_type in options.types or architectures():
        start = time.perf_counter()
        signal.alarm(options.seconds)
        try:
            verdict = judge(model_type)
        except Exception as error:  # noqa: BLE001 - not every configuration can be made small without knowing it
            unbuilt[model_type] = f"{type(error).__name__}: {error}".splitlines()[0][:100]
        else:
            verdicts.append(verdict)
            _tell(verdict, time.perf_counter() - start, verbose=options.verbose)
        finally:
            signal.alarm(0)
            gc.collect()
        if options.verbose and model_type in unbuilt:
            print(f"{model_type:<28} not built: {unbuilt[model_type]}", flush=True)
    _table(verdicts, unbuilt)
    return int(any(verdict.wrong for verdict in verdicts))


def _too_slow(*_: object) -> NoReturn:
    raise TimeoutError("took too long")


def _tell(verdict: Verdict, seconds: float, *, verbose: bool) -> None:
    if verbose:
        words = f"never {len(verdict.never)}, warned {len(verdict.warned)}, wrong {len(verdict.wrong)}"
        print(f"{verdict.model_type:<28} {verdict.class_name:<40} {seconds:5.1f} s  {words}", flush=True)
    for line in verdict.wrong:
        print(f"{verdict.model_type:<28} WRONG {line}", flush=True)


def _table(verdicts: list[Verdict], unbuilt: dict[str, str]) -> None:
    idle = [v for v in verdicts if v.never]
    rows = (
        ("built and trained", len(verdicts)),
        ("not built or not trained plainly", len(unbuilt)),
        ("silent", sum(v.silent for v in verdicts)),
        ("with parameters that got no gradient", len(idle)),
        ("... warned of, naming only such", sum(bool(v.warned) and not v.wrong for v in idle)),
        ("... warned of completely", sum(v.warned == v.never and not v.wrong for v in idle)),
        ("wrong", sum(bool(v.wrong) for v in verdicts)),
    )
    for words, count in rows:
        print(f"{words:<40}{count:>6}")


if __name__ == "__main__":
    raise SystemExit(main())
