"""The reading half: a run file to a `Run`, whatever happened to the file.

* Damage is told, not raised: a row whose checksum is wrong is skipped, a page that is missing ends its table, and
  `run.notes` says which steps that cost.
* Memory is bounded: of a long run the newest steps are loaded whole and the older ones thinned. The tallies still count
  every step, because they are read from the last snapshot and only what came after it is counted again.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradscope.records import Arrivals, Backward, Event, Optimizer, Run, Tally
from gradscope.runfile.lock import is_live
from gradscope.runfile.packing import decode_atom, unpack
from gradscope.runfile.schema import open_read_only
from gradscope.runfile.store import SECTIONS, decode_section
from gradscope.runfile.whole import whole
from gradscope.runfile.window import Window
from gradscope.tallies import Recount
from gradscope.tallies.arrivals import is_sound

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

BUDGET = 16 * 2**20
"""Bytes of packed events that are loaded: about 4 million norms, 400 MB of Python objects at the very most."""
MARGIN = 100_000
"""A set may have more members than the file names parameters: some join after the last snapshot."""
_RETRIES = 60
_ALL = -1
_DAMAGE = (ValueError, TypeError, KeyError, IndexError, OverflowError, RecursionError, zlib.error)


@dataclass(frozen=True, slots=True)
class Opened:
    """A run as far as it is on disk."""

    run: Run
    finished: bool
    """The run was closed in order."""
    live: bool
    """Some process is writing it now."""


def read_run(path: str | Path) -> Run:
    """The facts in a run file. Raises RunFileError only where there is no run to be had."""
    return open_run(path).run


def open_run(path: str | Path, budget: int = BUDGET) -> Opened:
    """The facts in a run file, and whether there are more to come."""
    path = Path(path)
    live = is_live(path)
    with closing(open_read_only(path)) as connection:
        connection.execute("BEGIN")  # One view of the file over all queries, whatever its writer adds meanwhile.
        reader = _Reader(connection, budget)
        run = reader.run()
    finished = reader.finished
    notes = [*run.notes, *reader.notes]
    if not finished:
        how = "is still being written" if live else "was not finished: the process ended without closing it"
        notes.append(f"the run file {how}; it holds {_upto(run)}")
    return Opened(replace(run, notes=tuple(notes)), finished, live)


def _upto(run: Run) -> str:
    return f"the steps up to {run.steps - 1}" if run.steps else "no completed step"


@dataclass
class _Reader:
    connection: sqlite3.Connection
    budget: int
    finished: bool = False
    notes: list[str] = field(default_factory=list)
    _atoms: dict[tuple[int, str], Any] = field(default_factory=dict)
    _room: int = 0
    _limit: int = MARGIN
    _keeping: bool = False
    """What is decoded now stays in memory, so forgetting it would free nothing."""

    def run(self) -> Run:
        found, counted = self._facts()
        run = Run(**found)
        self._limit = MARGIN + len(run.parameters)
        window = Window(self.budget)
        recount = Recount(run.tallies, run.parameters, run.optimizers, run.lines, run.arrivals)
        # A snapshot counts the step that was going on; only what is on disk was completed.
        steps, backwards, damaged = run.steps if self.finished else 0, run.backwards, 0
        traced: set[int] = set()
        for number, step, body in self._rows("turns", "step"):
            if number > counted:
                events = self._unpack(body)
                damaged += events is None
                recount.add(events or ())
                passes = [event for event in events or () if isinstance(event, Backward)]
                backwards = max([backwards, *(event.index + 1 for event in passes)])
                traced.update(e.step for e in passes if e.root is not None and e.step >= run.steps)
            window.add(step, body)
            steps = max(steps, step + 1)
        self._forget()
        self._keeping = True
        kept = [self._unpack(body) for body in window.bodies()]
        damaged = max(damaged, sum(events is None for events in kept))
        if damaged:
            self.notes.append(f"{damaged} steps of the run file are damaged and were left out")
        if window.stride > 1:
            self.notes.append(f"of the older steps every {window.stride}th was loaded; the counts include all of them")
        return whole(
            replace(
                run,
                steps=steps,
                backwards=backwards,
                traced=run.traced + len(traced),
                tallies=recount.tallies(),
                optimizers=run.optimizers if self.finished else _stepped(run.optimizers, recount.tallies()),
                lines=recount.lines(),
                arrivals=recount.arrivals(),
                events=tuple(event for events in kept for event in events or ()),
            )
        )

    def _facts(self) -> tuple[dict[str, Any], int]:
        """The newest whole row of each section, and the last turn that the tallies have counted."""
        rows: dict[str, tuple[int, bytes]] = {}
        for _, section, turn, body in self._rows("facts", "section, turn"):
            if section == "finished":
                self.finished = True
            elif section in ("run", *SECTIONS) and isinstance(turn, int):
                rows[section] = (turn, body)
        found: dict[str, Any] = {}
        for section, (_, body) in rows.items():
            try:
                found.update(decode_section(body, section))
            except _DAMAGE:
                self.notes.append(f"the {section} of the run file could not be read")
        if not {"models", "parameters"} <= rows.keys():
            self.notes.append("the run file ends before the names of its models and parameters")
        if not is_sound(found.get("arrivals", Arrivals())):
            self.notes.append("the arrivals of the run file make no sense and were left out")
            del found["arrivals"]
        counted = rows["tallies"][0] if "tallies" in found else 0
        return found, counted

    def _rows(self, table: str, columns: str) -> Iterator[tuple[Any, ...]]:
        """The rows of a table whose checksum holds, in order, going on behind pages that cannot be read."""
        query = f"SELECT id, {columns}, crc, body FROM {table} WHERE id > ? ORDER BY id LIMIT ?"  # noqa: S608 - ours
        last, skip, limit, bad = 0, 1, _ALL, 0
        for _ in range(_RETRIES):
            try:
                for *head, crc, body in self.connection.execute(query, (last, limit)):
                    if not isinstance(head[0], int) or head[0] <= last:
                        raise sqlite3.DatabaseError("rows out of order")
                    last = head[0]
                    if isinstance(body, bytes) and zlib.crc32(body) == crc and _typed(table, head):
                        yield *head, body
                    else:
                        bad += 1
                if limit == _ALL:
                    break
                limit = _ALL
            except (sqlite3.Error, OverflowError, UnicodeError):
                bad += 1
                if limit == _ALL:
                    limit = 1  # Python looks one row ahead, so the row before the bad page went with it.
                else:
                    last, skip, limit = last + skip, skip * 2, _ALL
        if bad:
            self.notes.append(f"the run file is damaged or cut off: some of its {table} could not be read")

    def _unpack(self, body: bytes) -> tuple[Event, ...] | None:
        try:
            return unpack(body, self._atom)
        except (*_DAMAGE, sqlite3.Error):
            return None

    def _atom(self, number: Any, kind: str) -> Any:
        if not isinstance(number, int):
            raise TypeError("an atom that has no number")
        key = (number, kind)
        if key not in self._atoms:
            row = self.connection.execute("SELECT crc, body FROM atoms WHERE id = ?", (number,)).fetchone()
            if row is None or not isinstance(row[1], bytes) or zlib.crc32(row[1]) != row[0]:
                raise ValueError("an atom that is not there")
            if self._room > self.budget:
                self._forget()
            self._atoms[key] = decode_atom(row[1], kind, self._limit)
            self._room += 2 * len(self._atoms[key])
        return self._atoms[key]

    def _forget(self) -> None:
        if self._keeping:
            raise ValueError("more sets of parameters than the steps can hold")
        self._atoms.clear()
        self._room = 0


def _typed(table: str, head: list[Any]) -> bool:
    if table == "turns":
        return isinstance(head[1], int) and 0 <= head[1] < 2**53
    return isinstance(head[1], str)


def _stepped(optimizers: tuple[Optimizer, ...], tallies: Mapping[int, Tally]) -> tuple[Optimizer, ...]:
    """How often optimizers stepped by what their own parameters tell: they may have been written down before it."""
    held = Counter(uid for optimizer in optimizers for uid in set(optimizer.parameters))
    return tuple(
        replace(o, steps=max([o.steps, *(tallies[u].steps for u in o.parameters if held[u] == 1 and u in tallies)]))
        for o in optimizers
    )
