"""How much longer a training step takes when somebody watches: ratios to the plain step, measured in one run.

    python benchmarks/overhead.py                             # all, about half an hour
    python benchmarks/overhead.py --quick                     # few rounds, two workloads
    python benchmarks/overhead.py --workloads large --watchers floor default

Every watcher has a process of its own, and they take turns. In a turn the same models train plainly, then watched, then
plainly again; what the watched steps took over what the plain ones took is one sample. So what else happens on the
machine hits both alike, and the weights lie in the same memory: two processes that do the same differed by up to 10 %.
The tables show the median over the rounds and the quartiles in brackets.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib.metadata
import importlib.util
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import torch
from instructions import Counter
from watchers import WATCHERS, Looks, Watcher
from workloads import WORKLOADS, Workload

import gradscope

BLOCK = 0.3
"""Seconds that plain steps take in a turn, at least, and watched ones."""
LONGEST = 120.0
"""Seconds after which a watcher has had its turns."""
MARK, READY = "measured:", "ready"
KINDS = ("wall", "CPU", "instructions")

Keyed = TypeVar("Keyed", Workload, Watcher)
Sample = tuple[float, float, float]


@dataclass
class Worker:
    """A process in which one watcher watches one training."""

    watcher: Watcher
    process: subprocess.Popen[str]
    plain: list[float] = field(default_factory=list)
    """Seconds of a plain step."""
    ratios: list[Sample] = field(default_factory=list)
    seconds: float = 0.0
    """What its turns took."""
    failure: str = ""

    def turn(self) -> None:
        """Ask for one sample."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        started = time.perf_counter()
        with contextlib.suppress(OSError):
            self.process.stdin.write("1\n")
            self.process.stdin.flush()
        while line := self.process.stdout.readline():
            if line.startswith(MARK):
                plain, *ratio = map(float, line.removeprefix(MARK).split())
                self.plain.append(plain)
                self.ratios.append((ratio[0], ratio[1], ratio[2]))
                self.seconds += time.perf_counter() - started
                return
            self.failure = line.strip() or self.failure
        self.failure = self.failure or "the process died"
        self.process.wait()

    def end(self) -> None:
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            self.process.communicate("0\n", timeout=30)
        self.process.kill()


def serve(workload: Workload, watcher: Watcher) -> None:
    """Take a sample for each line of the standard input that says 1."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    training, counter = workload.build(), Counter()

    def steps(count: int, looks: Looks) -> Sample:
        counted, cpu, wall = counter.read(), time.process_time(), time.perf_counter()
        for _ in range(count):
            looks.before()
            training.step(looks.after_backward, looks.before_step)
            looks.after()
        wall, cpu, counted = time.perf_counter() - wall, time.process_time() - cpu, counter.read() - counted
        return wall / count, cpu / count, counted / count

    steps(3, Looks())
    usual = max(2, workload.steps, round(BLOCK / min(steps(1, Looks())[0] for _ in range(5))))
    gc.collect()
    if not workload.steps:
        gc.freeze()  # what torch has loaded: to go through it now and then would cost more than all that is compared
    print(READY, flush=True)
    while int(sys.stdin.readline() or 0):
        gc.collect()
        before = steps(usual, Looks())
        with watcher.around(training) as looks:
            steps(watcher.warm, looks)
            once = max(steps(1, looks)[0], 1e-6)
            periods = max(1, round(BLOCK / once / watcher.period), -(-workload.steps // watcher.period))
            sample = steps(watcher.period * periods, looks)
        after = steps(usual, Looks())
        ratio = (2 * s / (b + a) if b else 0.0 for s, b, a in zip(sample, before, after, strict=True))
        print(MARK, before[0], *ratio, flush=True)


def start(workload: Workload, watcher: Watcher) -> Worker:
    """Start a process for a watcher."""
    process = subprocess.Popen(
        [sys.executable, __file__, "--serve", workload.key, watcher.key],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    worker = Worker(watcher, process)
    assert process.stdout is not None
    while (line := process.stdout.readline()) and not line.startswith(READY):
        worker.failure = line.strip() or worker.failure
    return worker


def measure(workload: Workload, watchers: list[Watcher], rounds: int) -> list[Worker]:
    """All watchers on one workload."""
    workers = [start(workload, watcher) for watcher in watchers]
    for _ in range(rounds):
        for worker in workers:
            if worker.process.poll() is None and worker.seconds < LONGEST:
                worker.turn()
    for worker in workers:
        worker.end()
    return workers


def table(workload: Workload, workers: list[Worker]) -> str:
    """Median and quartiles per watcher."""
    kinds = [n for n, _ in enumerate(KINDS) if any(w.ratios and w.ratios[0][n] for w in workers)]
    plain = statistics.median(second for worker in workers for second in worker.plain)
    lines = [f"### {workload.title}", "", f"A plain step took {plain * 1e3:.1f} ms.", ""]
    lines.append("| | " + " | ".join(KINDS[n] for n in kinds) + " | rounds |")
    lines.append("|---|" + "---|" * (len(kinds) + 1))
    for worker in workers:
        cells = [_cell([ratio[n] for ratio in worker.ratios]) for n in kinds] if worker.ratios else [worker.failure]
        lines.append(f"| {worker.watcher.title} | " + " | ".join(cells) + f" | {len(worker.ratios)} |")
    return "\n".join(lines) + "\n"


def _cell(ratios: list[float]) -> str:
    low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive") if len(ratios) > 1 else ratios * 3
    digits = 3 if middle < 10 else 1
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def machine() -> str:
    """Versions and machine."""
    model = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as info:
            model = next(line.split(":")[1].strip() for line in info if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    versions = [
        f"gradscope {gradscope.__version__}",
        f"torch {torch.__version__}",
        f"Python {platform.python_version()}",
    ]
    there = [name for name in ("pytorch_lightning", "wandb", "torchlens") if importlib.util.find_spec(name)]
    versions += [f"{name} {importlib.metadata.version(name)}" for name in there]
    counted = "" if Counter().there else "; the machine counts no instructions"
    return f"{', '.join(versions)}; {os.cpu_count()} x {model}, one thread{counted}."


def _find(of: Sequence[Keyed], key: str) -> Keyed:
    return next(one for one in of if one.key == key)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="3 rounds on two workloads")
    parser.add_argument("--rounds", type=int, default=0)
    parser.add_argument("--workloads", nargs="*", default=[], metavar="KEY", help=" ".join(w.key for w in WORKLOADS))
    parser.add_argument("--watchers", nargs="*", default=[], metavar="KEY", help=" ".join(w.key for w in WATCHERS))
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        workload, watcher = options.serve
        serve(_find(WORKLOADS, workload), _find(WATCHERS, watcher))
        return 0
    torch.set_num_threads(1)
    keys = options.workloads or (["linear", "tiny"] if options.quick else [w.key for w in WORKLOADS if not w.slow])
    watchers = [w for w in WATCHERS if w.key in options.watchers or not options.watchers]
    missing = [w for w in watchers if w.needs and not importlib.util.find_spec(w.needs)]
    watchers = [w for w in watchers if w not in missing]
    print(machine() + "\n", flush=True)
    for workload in [w for w in WORKLOADS if w.key in keys]:
        workers = measure(workload, watchers, options.rounds or (3 if options.quick else 9))
        print(table(workload, workers), flush=True)
    for watcher in missing:
        print(f"Not measured: {watcher.title} ({watcher.needs} is not installed).")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
