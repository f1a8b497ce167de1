"""The writing half of a run file, synchronous: steps and facts in, one transaction each call.

* The size is bounded: past `max_bytes` the older steps are thinned to every second, fourth, eighth one. The steps since
  the last snapshot of the tallies are never thinned, so that all counts stay exact.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from gradscope.records import Event, Run
from gradscope.runfile.codec import Coder, coder, type_hints
from gradscope.runfile.packing import Atom, encode_atom, pack
from gradscope.runfile.schema import MAX_ROW

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

SECTIONS = ("models", "parameters", "optimizers", "tallies", "arrivals", "cuts", "origins", "graph", "histograms")
"""Fields of a Run with a row of their own; all others share the row `run`."""

_EVENTS = ("events", "between")
"""Not facts of a run that are renewed: each is written once, in its step."""
_CODERS: dict[str, Coder] = {f.name: coder(type_hints(Run)[f.name]) for f in fields(Run) if f.name not in _EVENTS}
_CACHED_UIDS = 1_000_000
"""Members of all remembered atoms together, about 100 MB at most."""
_PAGE = 4096
"""Of SQLite, by default."""
_CHECK_EVERY = 64
"""Steps between two looks at the size of the file."""


@dataclass(frozen=True, slots=True)
class Turn:
    """The events of one step, waiting to be written."""

    step: int
    events: Sequence[Event]


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything of a run but its events, waiting to be written."""

    run: Run
    final: bool = False


def encode_section(run: Run, name: str) -> bytes:
    """The JSON of one section, compressed."""
    if name == "run":
        plain = {n: c.encode(getattr(run, n)) for n, c in _CODERS.items() if n not in SECTIONS}
    else:
        plain = _CODERS[name].encode(getattr(run, name))
    return zlib.compress(json.dumps(plain, separators=(",", ":")).encode(), 1)


def decode_section(body: bytes, name: str) -> dict[str, object]:
    """The fields of a Run that a section holds."""
    inflater = zlib.decompressobj()
    # No real section is packed better than this; a bomb is.
    limit = min(MAX_ROW, 2**20 + 64 * len(body))
    plain = json.loads(inflater.decompress(body, limit))
    if name != "run":
        return {name: _CODERS[name].decode(plain)}
    if not isinstance(plain, dict):
        raise ValueError("a section that is no object")
    return {n: _CODERS[n].decode(v) for n, v in plain.items() if n in _CODERS and n not in SECTIONS}


class Store:
    """Appends to an open run file."""

    def __init__(self, connection: sqlite3.Connection, max_bytes: int) -> None:
        self._connection = connection
        self._max_bytes = max_bytes
        self._turns = 0
        self._snapshot = 0
        self._stride = 1
        self._atoms: dict[Atom, int] = {}
        self._atom_count = 0
        self._cached = 0
        self._written: dict[str, bytes] = {}
        self.logged = 0
        """Bytes that went to the log, about: whole pages per row."""

    def write(self, items: Iterable[Turn | Facts]) -> None:
        """Write these in one transaction: all of them, or on an error none."""
        before = self._turns // _CHECK_EVERY
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            for item in items:
                if isinstance(item, Turn):
                    self._write_turn(item)
                else:
                    self._write_facts(item)
            if self._turns // _CHECK_EVERY != before:
                self._bound()
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def _write_turn(self, turn: Turn) -> None:
        body = pack(turn.events, self._atom)
        self._turns += 1
        self._insert("turns (id, step, crc, body)", self._turns, turn.step, zlib.crc32(body), body)

    def _atom(self, atom: Atom) -> int:
        number = self._atoms.get(atom)
        if number is None:
            if self._cached > _CACHED_UIDS:
                self._atoms.clear()
                self._cached = 0
            self._atom_count += 1
            number = self._atoms[atom] = self._atom_count
            self._cached += len(atom) + 10
            body = encode_atom(atom)
            self._insert("atoms (id, crc, body)", number, zlib.crc32(body), body)
        return number

    def _write_facts(self, facts: Facts) -> None:
        for section in ("run", *SECTIONS):
            body = encode_section(facts.run, section)
            # Tallies name the turn up to which they count, so they are written even if nothing changed.
            if (self._written.get(section) == body and section != "tallies") or len(body) > MAX_ROW - 1024:
                continue
            self._written[section] = body
            self._insert("facts (section, turn, crc, body)", section, self._turns, zlib.crc32(body), body)
        if facts.final:
            self._insert("facts (section, turn, crc, body)", "finished", self._turns, 0, b"")
        self._snapshot = self._turns

    def _insert(self, into: str, *values: object) -> None:
        self.logged += sum(len(value) for value in values if isinstance(value, bytes)) + 2 * _PAGE
        self._connection.execute(f"INSERT INTO {into} VALUES ({', '.join('?' * len(values))})", values)  # noqa: S608 - names of ours

    def _bound(self) -> None:
        while self._used() > self._max_bytes:
            self._stride *= 2
            thinned = self._connection.execute(
                "DELETE FROM turns WHERE id <= ? AND step % ? != 0", (self._snapshot, self._stride)
            ).rowcount
            thinned += self._connection.execute(
                "DELETE FROM facts WHERE id NOT IN (SELECT max(id) FROM facts GROUP BY section"
                " UNION SELECT min(id) FROM facts GROUP BY section)"
            ).rowcount
            if not thinned:
                raise OSError(f"the file has reached its limit of {self._max_bytes:,} bytes")

    def _used(self) -> int:
        pages, free, size = (
            int(self._connection.execute(f"PRAGMA {name}").fetchone()[0])
            for name in ("page_count", "freelist_count", "page_size")
        )
        return (pages - free) * size
