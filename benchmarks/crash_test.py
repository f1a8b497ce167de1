"""Kill a process that writes a run file, at random moments, and see whether a completed step was lost.

A step counts as completed when `RunWriter.events` has returned for it.

    python benchmarks/crash_test.py --count 1000
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from gradscope.records import Backward, Event, Group, Location, Model, Optimizer, OptimizerStep, Owner, Parameter, Run
from gradscope.runfile import RunWriter, open_run
from gradscope.tallies import Recount

PARAMETERS = 40
SNAPSHOT_EVERY = 16
PATH = (Location("train.py", 10, "main", "step()"), Location("train.py", 50, "step", "loss.backward()"))


def header() -> Run:
    """What is known before the first step."""
    parameters = {
        u: Parameter(u, (4,), "float32", "cpu", True, (Owner("net", f"{u}.weight"),)) for u in range(PARAMETERS)
    }
    optimizer = Optimizer(0, "optimizer", "SGD", (Group(tuple(parameters), 0.1),))
    return Run(models=(Model("net", "Net", tuple(parameters)),), parameters=parameters, optimizers=(optimizer,))


def events_of(step: int) -> tuple[Event, ...]:
    """The facts of a step, the same in the writer and in the judge."""
    norms = {u: float((step * 31 + u) % 97) for u in range(PARAMETERS) if (step + u) % 5}
    return (Backward(2 * step, step, step, PATH, norms), OptimizerStep(2 * step + 1, step, step, 0, PATH, norms))


def write_until_killed(path: str) -> None:
    """The child: says each step on the standard output as soon as the writer has taken it."""
    run = header()
    recount = Recount({}, run.parameters, run.optimizers)
    writer = RunWriter(path)
    writer.begin(run)
    os.write(1, b"ready\n")
    step = 0
    while True:
        events = events_of(step)
        recount.add(events)
        writer.events(step, events)
        os.write(1, b"%d\n" % step)
        step += 1
        if step % SNAPSHOT_EVERY == 0:
            writer.snapshot(replace(run, steps=step, backwards=step, tallies=recount.tallies()))


def kill_once(path: Path, delay: float) -> tuple[int, int]:
    """Run a child, kill it after `delay` seconds of writing; how many steps it completed, how many are lost."""
    command = [sys.executable, __file__, "--child", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(delay)
        child.send_signal(signal.SIGKILL)
        said = child.stdout.read().split(b"\n")[:-1]
    completed = len(said)
    opened = open_run(path)
    check(opened.run)
    assert not opened.finished
    assert not opened.live
    return completed, max(0, completed - opened.run.steps)


def check(run: Run) -> None:
    """What was read is exactly what was written: all steps from the first, and their counts."""
    expected = tuple(event for step in range(run.steps) for event in events_of(step))
    assert run.events == expected, "the events differ"
    first = header()
    named = [tuple(replace(optimizer, steps=0) for optimizer in each.optimizers) for each in (run, first)]
    assert (run.models, run.parameters, named[0]) == (first.models, first.parameters, named[1])
    recount = Recount({}, first.parameters, first.optimizers)
    recount.add(expected)
    assert run.tallies == recount.tallies(), "the tallies differ"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        write_until_killed(args.child)
    moments = random.Random(args.seed)  # noqa: S311 - no secrets here
    steps = lost = 0
    with tempfile.TemporaryDirectory() as folder:
        for number in range(args.count):
            path = Path(folder, f"run{number}.gradscope")
            completed, missing = kill_once(path, moments.random() ** 2 * 0.2)
            steps, lost = steps + completed, lost + missing
            for file in Path(folder).iterdir():
                file.unlink()
    print(f"{args.count} kills, {steps} completed steps, {lost} lost")
    return 1 if lost else 0


if __name__ == "__main__":
    raise SystemExit(main())
