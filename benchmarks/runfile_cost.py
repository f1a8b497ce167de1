"""What a run file costs: time to hand over and write a step, bytes, per number of parameters; share of a real step.

Each step has one backward pass and one optimizer step in which every parameter has a norm of its own. The share is that
of `watch(..., to=...)` over `watch(...)`: steps of two equal models in turn, each pair a ratio.

    python benchmarks/runfile_cost.py
"""

from __future__ import annotations

import argparse
import random
import statistics
import struct
import tempfile
import time
from pathlib import Path

from gradscope.records import Backward, Location, Model, OptimizerStep, Owner, Parameter, Run
from gradscope.runfile import RunWriter, read_run

PATH = (Location("train.py", 10, "main", "step()"), Location("train.py", 50, "step", "loss.backward()"))
STEP_SECONDS = 0.01
"""Time between two steps."""


def measure(parameters: int, steps: int, folder: Path) -> str:
    """One row of the table."""
    uids = range(parameters)
    known = {uid: Parameter(uid, (4,), "float32", "cpu", True, (Owner("net", f"layer{uid}.weight"),)) for uid in uids}
    path = folder / f"{parameters}.gradscope"
    writer = RunWriter(path)
    writer.begin(Run(models=(Model("net", "Net", tuple(uids)),), parameters=known))
    handed, spent = [], 0.0
    for step in range(steps):
        norms: dict[int, float | None] = {uid: _float32(random.random()) for uid in uids}  # noqa: S311 - no secrets
        events = (Backward(2 * step, step, step, PATH, norms), OptimizerStep(2 * step + 1, step, step, 0, PATH, norms))
        cpu, start = time.process_time(), time.perf_counter()
        writer.events(step, events)
        handed.append(time.perf_counter() - start)
        time.sleep(STEP_SECONDS)
        spent += time.process_time() - cpu
    writer.close()
    size = path.stat().st_size / steps
    start = time.perf_counter()
    read_run(path)
    read = time.perf_counter() - start
    return (
        f"{parameters:>10}  {statistics.median(handed) * 1e3:>9.3f} ms  {spent / steps * 1e3:>9.2f} ms"
        f"  {size:>9,.0f}  {size / parameters:>12.1f}  {read / steps * 1e3:>8.2f} ms"
    )


def share(layers: int, steps: int, folder: Path) -> str:
    """How much longer a watched training step takes when it is written to a file, too."""
    import torch
    from torch import nn

    import gradscope

    torch.set_num_threads(1)
    loops = []
    for to in (None, folder / f"share{layers}.gradscope"):
        net = nn.Sequential(*(nn.Linear(128, 128) for _ in range(layers)))
        optimizer = torch.optim.AdamW(net.parameters(), 1e-4)
        loops.append((net, optimizer, gradscope.watch(net=net, to=to)))
    batch, ratios = torch.randn(64, 128), []
    for _ in range(steps):
        times = []
        for net, optimizer, scope in loops:
            start = time.perf_counter()
            with scope.step():
                optimizer.zero_grad()
                net(batch).square().mean().backward()
                optimizer.step()
            times.append(time.perf_counter() - start)
        ratios.append(times[1] / times[0])
    for _, _, scope in loops:
        scope.close()
    low, middle, high = statistics.quantiles(ratios[steps // 10 :], n=4)
    return f"{2 * layers:>10}  {middle:>6.3f}  ({low:.3f} to {high:.3f})"


def _float32(value: float) -> float:
    """As torch's norms are."""
    exact: float = struct.unpack("f", struct.pack("f", value))[0]
    return exact


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=200)
    args = parser.parse_args()
    print("parameters   write/step  CPU/step  bytes/step  bytes/par/step  read/step")
    with tempfile.TemporaryDirectory() as folder:
        for parameters in (30, 300, 5000):
            print(measure(parameters, args.steps, Path(folder)))
        print("\nparameters  written / watched: median (quartiles)")
        for layers in (5, 50, 200):
            print(share(layers, args.steps, Path(folder)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
