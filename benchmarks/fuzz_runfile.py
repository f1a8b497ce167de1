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

from gradscope.diagnosis.states import model_states
from gradscope.errors import RunFileError
from gradscope.records import Backward, Clear, Group, Location, Model, Optimizer, OptimizerStep, Owner, Parameter, Run
from gradscope.runfile import read_run, write_run

SLOW = 2.0
"""Seconds for one file of 40 KB, on a busy machine, before it is called a hang."""
MEMORY = 300 * 2**20
"""Bytes by which the process may grow over all files."""


def example() -> Run:
    """A small run with something in every section."""
    path = (Location("train.py", 10, "main", "step()"), Location("train.py", 50, "step", "loss.backward()"))
    parameters = {u: Parameter(u, (4,), "float32", "cpu", True, (Owner("net", f"{u}.weight"),)) for u in range(12)}
    optimizer = Optimizer(0, "optimizer", "SGD", (Group(tuple(parameters), 0.1),), path)
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
    models = (Model("net", "Net", tuple(parameters)),)
    return Run("2.13.0", "1", "train.py", 12, 12, models, parameters, (optimizer,), events)


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
    """Put something hostile in the place of a number, or break the bytes."""
    digits = [i for i, byte in enumerate(body) if 48 <= byte <= 57]
    if digits and chance.random() < 0.7:
        at = chance.choice(digits)
        return body[:at] + chance.choice(HOSTILE) + body[at + 1 :]
    return mutate_bytes(body, chance)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    chance = random.Random(args.seed)  # noqa: S311 - no secrets here
    refused, slowest = 0, 0.0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "run.gradscope")
        write_run(path, example())
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
                model_states(read_run(path))
            except RunFileError:
                refused += 1
            slowest = max(slowest, time.perf_counter() - start)
    grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    print(f"{args.count} files, {refused} refused, slowest {slowest:.3f} s, memory grew by {grown / 2**20:.0f} MB")
    return 1 if slowest > SLOW or grown > MEMORY else 0


if __name__ == "__main__":
    raise SystemExit(main())
