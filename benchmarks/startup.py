"""What gradscope costs outside of the training step: import, command line, reports, diagnosis, memory.

python benchmarks/startup.py            # all, a few minutes
python benchmarks/startup.py --quick
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import time

from overhead import machine

from gradscope.diagnosis.engine import diagnose
from gradscope.records import (
    Backward,
    Event,
    Group,
    Location,
    Model,
    Optimizer,
    OptimizerStep,
    Owner,
    Parameter,
    Passes,
    Run,
    Tally,
)
from gradscope.records.columns import Cohort, Column
from gradscope.report import Report

PATH = (Location("train.py", 50, "main", "loss.backward()"),)


def _seconds(*command: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def starting(repeats: int) -> str:
    """Processes that only import, or only say what the command line takes; in turn."""
    torch = "import torch, torch.optim"
    commands = {
        "python": ["-c", ""],
        "import gradscope": ["-c", "import gradscope"],
        "import torch": ["-c", torch],
        "import torch, gradscope": ["-c", f"{torch}; import gradscope"],
        "import torch, gradscope, and its watch": ["-c", f"{torch}; import gradscope; gradscope.watch"],
        "gradscope --help": ["-m", "gradscope", "--help"],
        "gradscope run --help": ["-m", "gradscope", "run", "--help"],
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(repeats):
        for name, command in commands.items():
            times[name].append(_seconds(*command))
    rows = [f"| {name} | {statistics.median(taken) * 1e3:.0f} ms |" for name, taken in times.items()]
    for name in ("import torch, gradscope", "import torch, gradscope, and its watch"):
        beyond = [b - a for a, b in zip(times["import torch"], times[name], strict=True)]
        rows.append(f"| {name}: beyond torch | {statistics.median(beyond) * 1e3:.0f} ms |")
    return "\n".join(["| process | median |", "|---|---|", *rows])


def made_up(parameters: int, steps: int) -> Run:
    """Facts of a healthy run; in a long one only some steps are kept, as by the log."""
    uids = tuple(range(parameters))
    known = {u: Parameter(u, (64,), "float32", "cpu", True, (Owner("net", f"layer{u}.weight"),)) for u in uids}
    norms = Column(Cohort(uids), [0.5 + uid / parameters for uid in uids])
    kept = min(steps, 1_000_000 // parameters)  # as many numbers as the log keeps
    events: list[Event] = []
    for step in [*range(kept // 2), *range(steps - (kept + 1) // 2, steps)]:
        events.append(Backward(2 * step, step, step, PATH, norms))
        events.append(OptimizerStep(2 * step + 1, step, step, 0, PATH, norms, (1e-3,)))
    tally = Tally(
        backwards=steps, measured=steps, first_backward=0, last_backward=steps - 1, steps=steps, trainable_steps=steps,
        norm_max=1.5, norm_last=1.0,
    )  # fmt: skip
    return Run(
        steps=steps, backwards=steps, models=(Model("net", "Net", uids),), parameters=known, events=tuple(events),
        optimizers=(Optimizer(0, "optimizer", "SGD", (Group(uids, 1e-3),), steps=steps),),
        tallies=dict.fromkeys(uids, tally), lines=(Passes(PATH[-1], steps, frozenset(uids)),),
    )  # fmt: skip


def reporting(sizes: list[tuple[int, int]]) -> str:
    """Diagnosis and whole reports of made-up runs."""
    rows = ["| parameters x steps | kept events | diagnosis | per fact | text report | JSON | page |", "|" + "---|" * 7]
    for parameters, steps in sizes:
        run = made_up(parameters, steps)
        facts = sum(len(event.norms) for event in run.events if isinstance(event, Backward | OptimizerStep))
        start = time.perf_counter()
        diagnose(run)
        judged = time.perf_counter() - start
        parts = [_timed(lambda: str(Report(run))), _timed(lambda: Report(run)._json())]  # noqa: B023
        parts.append(_timed(lambda: Report(run)._html()))  # noqa: B023
        cells = " | ".join(f"{part:.2f} s" for part in parts)
        per = judged / max(facts, 1) * 1e9
        rows.append(f"| {parameters:,} x {steps:,} | {len(run.events):,} | {judged:.3f} s | {per:.0f} ns | {cells} |")
    return "\n".join(rows)


def _timed(action: object) -> float:
    start = time.perf_counter()
    action()  # type: ignore[operator]
    return time.perf_counter() - start


def memory(steps: int) -> str:
    """What a watched run of two small models holds, and how long its steps take, over its steps."""
    import torch
    from workloads import gan

    import gradscope

    torch.set_num_threads(1)
    training = gan()
    rows = ["| steps | peak memory | CPU of a step |", "|---|---|---|"]
    with gradscope.watch(training.models, budget=None):
        done = 0
        for share in (20, 10, 5, 2, 1):
            start, first = time.thread_time(), done
            while done < steps // share:
                training.step(_nothing, _nothing)
                done += 1
            taken = (time.thread_time() - start) / max(done - first, 1)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            rows.append(f"| {done:,} | {peak:,.0f} MB | {taken * 1e3:.2f} ms |")
    return "\n".join(rows)


def _nothing() -> None: ...


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    print(machine())
    print("\n### Starting\n\n" + starting(3 if quick else 15), flush=True)
    sizes = [(100, 100), (1_000, 100)] if quick else [(100, 1_000), (1_000, 100), (1_000, 1_000), (10_000, 1_000)]
    print("\n### Reports of made-up facts\n\n" + reporting(sizes), flush=True)
    print("\n### A long watched run of the GAN, every=1\n\n" + memory(400 if quick else 10_000))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
