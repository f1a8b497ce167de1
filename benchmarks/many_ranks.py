"""How long it takes and how much memory to put the facts of many ranks together: `python benchmarks/many_ranks.py`.

A simulation: the facts are made up, 10,000 parameters on up to 4,096 ranks, of which one rank lacks a head and one has
gradients of its own. Each rank's summary is made, packed, unpacked, merged and let go, as rank 0 does it while the
others' messages come in; nothing goes over a network. Each row of the table is a process of its own, because memory is
measured as the most that the process ever held.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import subprocess
import sys
import time
from array import array

PARAMETERS = 10_000
RANKS = (1, 16, 64, 256, 1_024, 4_096)
HEAD = 20
"""Parameters of the head that one rank never uses."""


def message(rank: int, world: int, names: tuple[str, ...]) -> bytes:
    """What one rank would send."""
    import numpy as np

    from gradscope.job import Summary, encode
    from gradscope.job.summary import INTS

    draw = np.random.default_rng(rank)
    count = len(names)
    received = np.full(count, 1_000, np.int32)
    local = draw.lognormal(0, 1, count).astype(np.float32)
    applied = np.random.default_rng(-1 % 2**32).lognormal(0, 1, count).astype(np.float32)
    if rank == world // 2:
        received[-HEAD:] = 0
        local[-HEAD:] = np.nan
    if rank == world // 3 and world > 3:
        local *= 1_000
    ints = dict.fromkeys(INTS, np.zeros(count, np.int32)) | {
        "received": received,
        "measured": received,
        "numel": np.full(count, 64, np.int32),
        "parts": np.ones(count, np.int32),
        "applied_at": np.full(count, 950, np.int32),
        "bad_at": np.full(count, -1, np.int32),
    }
    columns = {name: array("i", values.tobytes()) for name, values in ints.items()}
    floats = {"local": array("f", local.tobytes()), "applied": array("f", applied.tobytes())}
    return encode(Summary(rank, world, names, columns, floats, f"host{rank // 8}", 1_000, 1_000))


def merge(world: int) -> dict[str, float]:
    """Merge this many ranks and report; what it took."""
    from gradscope.job import Merger, decode, with_job
    from gradscope.records import Model, Owner, Parameter, Run, Tally
    from gradscope.render.text import render_text
    from gradscope.report import Report

    fqns = [f"blocks.{index // 10}.part{index % 10}.weight" for index in range(PARAMETERS)]
    names = tuple(f"model.{fqn}" for fqn in fqns)
    parameters = {
        uid: Parameter(uid, (64, 64), "float32", "cpu", True, (Owner("model", fqn),)) for uid, fqn in enumerate(fqns)
    }
    tallies = {uid: Tally(backwards=1_000, measured=1_000, steps=1_000, norm_last=1.0) for uid in parameters}
    run = Run(
        steps=1_000, backwards=1_000, models=(Model("model", "Model", tuple(parameters)),), parameters=parameters,
        tallies=tallies, world=world,
    )  # fmt: skip
    merger, merging, sent = Merger(world), 0.0, 0
    for rank in range(world):
        body = message(rank, world, names)
        sent += len(body)
        begun = time.perf_counter()
        merger.add(decode(body))
        merging += time.perf_counter() - begun
    begun = time.perf_counter()
    report = Report(with_job(run, merger.job()))
    text = render_text(report)
    reporting = time.perf_counter() - begun
    found = [finding.code for finding in report.findings]
    assert world < 4 or {"GS601", "GS603"} <= set(found), text
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"merging": merging, "reporting": reporting, "peak": peak, "message": sent / world, "sent": float(sent)}


def main() -> None:
    """Print the table."""
    print(f"{PARAMETERS:,} parameters; Python {platform.python_version()}, {platform.machine()}\n")
    titles = "ranks", "merging, s", "per rank, ms", "report, s", "peak memory, MB", "a rank sends, kB", "all send, MB"
    print(f"| {' | '.join(titles)} |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for world in RANKS:
        done = subprocess.run([sys.executable, __file__, str(world)], capture_output=True, text=True, check=True)
        took = json.loads(done.stdout)
        print(
            f"| {world:,} | {took['merging']:.2f} | {1000 * took['merging'] / world:.1f} | {took['reporting']:.2f} "
            f"| {took['peak']:.0f} | {took['message'] / 1e3:.0f} | {took['sent'] / 1e6:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ranks", nargs="?", type=int, help="merge so many and print what it took as JSON; all without")
    chosen = parser.parse_args().ranks
    if chosen is not None:
        print(json.dumps(merge(chosen)))
    else:
        main()
