"""What a run file is: its tables, its signature, how its connections are set up, and what it is called.

* `turns`: one row per step; `atoms`: what its blobs refer to by number; `facts`: everything else of a `Run`, one row
  per section, newer rows replacing older ones. Rows are only ever appended, so that a file cut off at its end loses
  its newest steps and never its beginning.
* WAL on a local disk: a writer never waits for a reader. On a network file system WAL is not allowed (its index is
  shared memory of one host), so the rollback journal is used there.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gradscope.errors import RunFileError

if TYPE_CHECKING:
    from collections.abc import Mapping

APPLICATION_ID = 0x47524453
"""`GRDS` in the SQLite header, at byte 68."""
FORMAT = 1
"""Of the tables and blobs; records carry their own compatibility (see codec)."""

MAX_ROW = 64 * 2**20
"""Longest row that is written or read."""

TABLES = {
    "turns": (
        "CREATE TABLE turns (id INTEGER PRIMARY KEY, step INTEGER NOT NULL, crc INTEGER NOT NULL, body BLOB NOT NULL)"
    ),
    "atoms": "CREATE TABLE atoms (id INTEGER PRIMARY KEY, crc INTEGER NOT NULL, body BLOB NOT NULL)",
    "facts": (
        "CREATE TABLE facts (id INTEGER PRIMARY KEY, section TEXT NOT NULL, turn INTEGER NOT NULL,"
        " crc INTEGER NOT NULL, body BLOB NOT NULL)"
    ),
}

_NETWORK = ("nfs", "cifs", "smb", "sshfs", "lustre", "gpfs", "beegfs", "ceph", "glusterfs", "afs", "9p", "wekafs")


_LAUNCHERS = (
    ("RANK", "WORLD_SIZE"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("PMI_RANK", "PMI_SIZE"),
    ("SLURM_PROCID", "SLURM_NTASKS"),
)
"""What torchrun, two kinds of mpirun, and srun tell a process of its place in the job."""


def rank_path(path: str | Path, environ: Mapping[str, str] | None = None) -> Path:
    """The file of this process: `run.gradscope` is `run.rank3.gradscope` on rank 3 of a distributed run.

    torch.distributed is asked first, if it runs: who starts processes with mp.spawn tells only that.
    """
    path = Path(path)
    distributed = sys.modules.get("torch.distributed") if environ is None else None
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        rank = str(distributed.get_rank())
    else:
        rank = _rank(os.environ if environ is None else environ)
    return path if rank == "0" else path.with_name(f"{path.stem}.rank{rank}{path.suffix}")


def _rank(environ: Mapping[str, str]) -> str:
    found = next(((environ[r], environ[n]) for r, n in _LAUNCHERS if r in environ and n in environ), ("0", "1"))
    return found[0] if all(map(str.isdigit, found)) and int(found[1]) > 1 else "0"


def journal_mode(path: Path) -> str:
    """WAL, or DELETE where the file lies on a network file system."""
    return "DELETE" if file_system(path).removeprefix("fuse.").startswith(_NETWORK) else "WAL"


def file_system(path: Path, mounts: Path = Path("/proc/mounts")) -> str:
    """The type of the file system a path is on; empty where the system does not say."""
    resolved = str(path.resolve())
    if resolved.startswith("\\\\"):
        return "cifs"
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    best, kind = "", ""
    for fields in map(str.split, lines):
        if len(fields) < 3:
            continue
        point = fields[1].replace("\\040", " ").rstrip("/")
        if len(point) >= len(best) and (resolved + "/").startswith(point + "/"):
            best, kind = point, fields[2]
    return kind


def create(path: Path, max_bytes: int) -> sqlite3.Connection:
    """A new, empty run file, open for writing by one thread at a time."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=60)
    connection.execute("BEGIN IMMEDIATE")
    for statement in TABLES.values():
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version={FORMAT}")
    connection.execute("COMMIT")
    # After the first commit, so that the signature is in the file itself and not in its log.
    connection.execute(f"PRAGMA journal_mode={journal_mode(path)}")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute(f"PRAGMA journal_size_limit={min(max_bytes, 16 * 2**20)}")
    return connection


def open_read_only(path: Path) -> sqlite3.Connection:
    """A connection that trusts nothing in the file; raises RunFileError where it is no run file of ours."""
    if not path.is_file():
        what = f"{str(path)!r} is no file" if path.exists() else f"there is no run file {str(path)!r}"
        raise RunFileError(f"{what}: `gradscope run --out FILE` and watch(to=FILE) write one")
    try:
        try:
            connection = _connect(path, "mode=ro")
        except sqlite3.OperationalError:
            if path.with_name(path.name + "-wal").exists():
                raise
            # A file in WAL mode in a folder that cannot be written: SQLite wants to put its index beside it.
            connection = _connect(path, "immutable=1")
    except sqlite3.Error as error:
        raise RunFileError(f"cannot read {path.name!r} as a gradscope run file: {error}") from error
    try:
        _verify(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?{mode}", uri=True, timeout=5, isolation_level=None)
    try:
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_ROW)
        connection.execute("PRAGMA trusted_schema=OFF")
        connection.execute("PRAGMA cell_size_check=ON")
        connection.execute("PRAGMA mmap_size=0")
        # Lets a file that ends before its header says be read up to its end instead of being refused whole.
        connection.execute("PRAGMA writable_schema=ON")
        connection.execute("PRAGMA user_version").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


def _verify(connection: sqlite3.Connection, path: Path) -> None:
    try:
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if application == APPLICATION_ID and version > FORMAT:
            raise RunFileError(
                f"{path.name!r} was written by a newer gradscope (format {version}, this one reads up to {FORMAT}):"
                " pip install --upgrade gradscope-torch"
            )
        found = dict(connection.execute("SELECT name, sql FROM sqlite_schema LIMIT 9").fetchall())
    except (sqlite3.Error, UnicodeError) as error:
        raise RunFileError(f"cannot read {path.name!r} as a gradscope run file: {error}") from error
    # Exactly our tables: a view or a trigger in their place would run its author's SQL inside our queries.
    if application != APPLICATION_ID or found != TABLES:
        raise RunFileError(f"{path.name!r} is not a gradscope run file")
