"""Read mutated run files: each must give a Run or a RunFileError, soon, in bounded memory.

Half of the mutations hit the file anywhere; the other half go through SQLite and repair the checksums, as an attacker
would, to reach the decoders behind them. Every Run that comes out is diagnosed and compared as well.

    python benchmarks/fuzz_runfile.py --count 100000
"""

from __future__ import annotations

import argparse
import random
import resource
import sqlite3
import tempfile
import time
import zlib
from pathlib import Path

from gradscope.compare import compare
from gradscope.errors import RunFileError
from gradscope.records import (
    Backward,
    Clear,
    Cut,
    Declaration,
    Edge,
    Graph,
    Group,
    Histogram,
    Location,
    Model,
    Node,
    Optimizer,
    OptimizerStep,
    Origin,
    Owner,
    Parameter,
    Run,
)
from gradscope.records import Path as Way
from gradscope.render.json import render_json
from gradscope.render.markdown import render_markdown
from gradscope.render.text import render_text
from gradscope.report import Report
from gradscope.runfile import read_run, write_run
from gradscope.tallies import Recount

SLOW = 2.0
"""Seconds for one file of 40 KB, on a busy machine, before it is called a hang."""
MEMORY = 300 * 2**20
"""Bytes by which the process may grow over all files."""


def example() -> Run:
    """A small run with something in every section."""
    path = (Location("train.py", 10, "main", "step()"), Location("train.py", 50, "step", "loss.backward()"))
    parameters = {
        u: Parameter(u, (4,), "float32", "cpu", True, (Owner("net" if u < 6 else "head", f"{u}.weight"),))
        for u in range(12)
    }
    optimizer = Optimizer(0, "optimizer", "SGD", (Group(tuple(parameters), 0.1),), path, steps=12)
    events = tuple(
        event
        for step in range(12)
        for event in (
            Backward(
                3 * step, step, step, path, {u: u / 3 if u != step else None for u in range(8)}, frozenset({1, 3})
            ),
            OptimizerStep(3 * step + 1, step, step, 0, path, dict.fromkeys(range(8), 0.5), (0.1,), {2: 1e-3}),
            Clear(3 * step + 2, step, frozenset(range(8)), path),
        )
    )
    recount = Recount({}, parameters, (optimizer,))
    recount.add(events)
    return Run(
        torch="2.13.0",
        gradscope="1",
        script="train.py",
        steps=12,
        backwards=12,
        models=(Model("net", "Net", tuple(range(6))), Model("head", "Head", tuple(range(6, 12)))),
        parameters=parameters,
        optimizers=(optimizer,),
        events=events,
        tallies=recount.tallies(),
        lines=recount.lines(),
        traced=12,
        cuts=(Cut("detach", frozenset({8, 9}), path, "detach", 100),),
        origins=(Origin("zero", "dead_relu", frozenset({1, 2}), path, "relu", 3, 3),),
        never_used=frozenset({10, 11}),
        graph=picture(path),
        histograms=(Histogram(1, 3, -8, (1, 2, 3), (4, 5), zeros=2),),
        parts={3: (2, 1)},
        declarations=(Declaration("train.py", 9, 10, 11, "# gradscope: ignore[GS201]", ("GS201",), ("x",)),),
    )


def picture(path: Way) -> Graph:
    """A parameter, the operation that uses it, and a loss behind a cut."""
    nodes = (
        Node(0, "parameter", "weight", "net", "0", norm=0.5, uid=0),
        Node(1, "op", "relu", "net", "0", location=path[0]),
        Node(2, "loss", "loss", live=False, location=path[1]),
    )
    return Graph(nodes, (Edge(0, 1, norm=0.5), Edge(1, 2, live=False, cut="detach", location=path[0])), step=3)


def mutate_bytes(content: bytes, chance: random.Random) -> bytes:
    """Flip, overwrite, cut, repeat or remove some bytes."""
    data = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 5, 40))):
        at = chance.randrange(len(data) or 1)
        kind = chance.randrange(6)
        if kind == 0 and data:
            data[at % len(data)] ^= 1 << chance.randrange(8)
        elif kind == 1:
            data[at : at + 4] = chance.choice((b"\xff\xff\xff\xff", b"\x00\x00\x00\x00", b"\x7f\xff\xff\xff"))
        elif kind == 2:
            del data[at:]
        elif kind == 3:
            data[at:at] = data[at : at + chance.randrange(5000)]
        elif kind == 4:
            del data[at : at + chance.randrange(5000)]
        else:
            # The first pages hold the tables themselves.
            data[chance.randrange(min(16384, len(data) or 1)) : 1] = chance.randbytes(1)
    return bytes(data)


def mutate_rows(path: Path, chance: random.Random) -> None:
    """Change some rows and give them the checksum that fits."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=MEMORY")
    connection.execute("PRAGMA synchronous=OFF")
    tables = chance.sample(("turns", "atoms", "facts"), chance.choice((1, 1, 2, 3)))
    for table in tables:
        rows = connection.execute(f"SELECT id, body FROM {table}").fetchall()  # noqa: S608 - names of ours
        number, body = chance.choice(rows)
        packed = table == "facts" and body
        plain = zlib.decompress(body) if packed else body
        changed = mutate_text(plain, chance)
        body = zlib.compress(changed, 1) if packed else changed
        where = (zlib.crc32(body), body, number)
        connection.execute(f"UPDATE {table} SET crc = ?, body = ? WHERE id = ?", where)  # noqa: S608 - names of ours
    connection.close()


HOSTILE = (
    b"1e999",
    b"-1",
    b"null",
    b"[]",
    b"{}",
    b'"x"',
    b"9" * 400,
    b"[" * 3000,
    b"[[0,1]]",
    b"4000000",
    b"true",
    b"NaN",
)


def mutate_text(body: bytes, chance: random.Random) -> bytes:
    """Put something hostile in the place of a number, another letter in the place of one, or break the bytes."""
    kind = chance.random()
    digits = [i for i, byte in enumerate(body) if 48 <= byte <= 57]
    letters = [i for i, byte in enumerate(body) if 97 <= byte <= 122]
    if digits and kind < 0.6:
        at = chance.choice(digits)
        return body[:at] + chance.choice(HOSTILE) + body[at + 1 :]
    if letters and kind < 0.8:
        at = chance.choice(letters)
        return body[:at] + chance.choice((b"x", b"")) + body[at + 1 :]
    return mutate_bytes(body, chance)


def use(run: Run, other: Run) -> None:
    """All that `gradscope report` and `gradscope compare` make of it."""
    report = Report(run)
    render_text(report)
    render_json(report)
    render_markdown(report)
    assert report.graph(depth=3).source
    compare(run, other)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    first = example()
    chance = random.Random(args.seed)  # noqa: S311 - no secrets here
    refused, slowest = 0, 0.0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "run.gradscope")
        write_run(path, first)
        content = path.read_bytes()
        read_run(path)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for number in range(args.count):
            if number % 2:
                path.write_bytes(content)
                mutate_rows(path, chance)
            else:
                path.write_bytes(mutate_bytes(content, chance))
            start = time.perf_counter()
            try:
                use(read_run(path), first)
            except RunFileError:
                refused += 1
            slowest = max(slowest, time.perf_counter() - start)
    grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    print(f"{args.count} files, {refused} refused, slowest {slowest:.3f} s, memory grew by {grown / 2**20:.0f} MB")
    return 1 if slowest > SLOW or grown > MEMORY else 0


if __name__ == "__main__":
    raise SystemExit(main())
