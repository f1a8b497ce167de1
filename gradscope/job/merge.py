"""Summaries of ranks to one Job, one rank at a time: memory grows with the parameters, not with the ranks.

* What is kept per rank is one row; per parameter a few extremes and the first few ranks that differ.
* The whole norm of a split parameter is the root of the sum of its parts' squares; parts that several ranks hold
  (replicas) are counted once.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from gradscope.job.summary import UNKNOWN_STEP, Summary
from gradscope.records import Across, Job, Location, Origin, RankRow, Run, Tally
from gradscope.records.ranks import Elsewhere, Lack, Told

NAMED = 8
"""Ranks that are named per parameter."""
_COLUMNS: dict[str, tuple[Any, Any]] = {
    "ranks": (np.int32, 0),
    "received": (np.int32, 0),
    "parts": (np.int32, 1),
    "zero": (np.int32, 0),
    "nonfinite": (np.int32, 0),
    "bad_at": (np.int32, np.iinfo(np.int32).max),
    "bad_first": (np.int32, 0),
    "unmeasured": (np.int32, 0),
    "written": (np.int32, 0),
    "smallest": (np.int32, np.iinfo(np.int32).max),
    "largest": (np.int32, 0),
    "stopped": (np.int32, 0),
    "unsteady": (np.int32, 0),
    "fewest": (np.int64, np.iinfo(np.int64).max),
    "most": (np.int64, 0),
    "squares": (np.float64, 0.0),
    "local_min": (np.float32, np.inf),
    "local_max": (np.float32, -np.inf),
    "applied_at": (np.int32, -1),
    "applied_min": (np.float32, np.inf),
    "applied_max": (np.float32, -np.inf),
    "rank_min": (np.int32, 0),
    "rank_max": (np.int32, 0),
    "user": (np.int32, np.iinfo(np.int32).max),
}


class Merger:
    """Takes the summaries of ranks in any order; `job()` is where it stands."""

    def __init__(self, world: int) -> None:
        self.world = world
        self._names: tuple[str, ...] = ()
        self._places: dict[str, int] = {}
        self._table = {name: np.full(0, start, kind) for name, (kind, start) in _COLUMNS.items()}
        self._rows: dict[int, RankRow] = {}
        self._without: dict[int, list[int]] = {}
        self._lost: dict[int, tuple[int, Lack]] = {}
        self._uses: dict[int, Location] = {}
        """Of each parameter the line at which the first rank uses it that told one."""
        self._bad: dict[int, list[int]] = {}
        self._stopped: dict[int, list[int]] = {}
        self._origin: tuple[int, int, Origin] | None = None
        """The earliest: step, rank, and what that rank saw."""
        self._stages = False
        self._found: dict[tuple[str, str, str, Location | None], Elsewhere] = {}

    def add(self, summary: Summary) -> None:
        """Count one rank; the same rank again is ignored."""
        if summary.rank in self._rows and not self._rows[summary.rank].missing:
            return
        ints = {name: np.frombuffer(column, np.int32) for name, column in summary.ints.items()}
        floats = {name: np.frombuffer(column, np.float32) for name, column in summary.floats.items()}
        local = floats["local"]
        finite = np.isfinite(local)
        squares = np.where(finite, local, 0).astype(np.float64) ** 2
        norm = math.sqrt(squares.sum()) if finite.any() else None
        if ((ints["nonfinite"] > 0) & ~finite).any():
            norm = math.nan
        self._rows[summary.rank] = RankRow(
            summary.rank, summary.host, summary.steps, summary.backwards,
            int((ints["received"] > 0).sum()), norm, summary.missing,
        )  # fmt: skip
        if summary.origin is not None:
            told = summary.origin.step, summary.rank, summary.origin
            self._origin = min(self._origin or told, told, key=lambda each: each[:2])
        self._stages |= summary.stage
        for found in summary.found:
            self._tell(summary.rank, found)
        if not summary.backwards:
            return  # it only helps or waits: what it lacks says nothing
        at = self._positions(summary.names)
        self._count(summary.rank, at, ints, squares)
        self._follow(summary.rank, at, ints, summary.backwards)
        self._measure(summary.rank, at, ints, floats)
        self._explain(summary, at, ints["lost"])
        self._note_uses(summary, at, ints["used"])

    def _explain(self, summary: Summary, at: Any, lost: Any) -> None:
        """Keep what the first rank says of what it lacks."""
        for place in np.flatnonzero(lost):
            told = summary.rank, summary.lacks[lost[place] - 1]
            here = int(place if isinstance(at, slice) else at[place])
            self._lost[here] = min(self._lost.get(here, told), told, key=lambda each: each[0])

    def _note_uses(self, summary: Summary, at: Any, used: Any) -> None:
        """Keep where the first rank uses what."""
        first = (used > 0) & (summary.rank < self._table["user"][at])
        self._table["user"][at] = np.where(first, summary.rank, self._table["user"][at])
        for place in np.flatnonzero(first):
            self._uses[int(place if isinstance(at, slice) else at[place])] = summary.uses[used[place] - 1]

    def _tell(self, rank: int, told: Told) -> None:
        """Count a finding of a rank: alike ones are one, in the words of the first rank."""
        key = told.code, told.model, told.cause, told.location
        known = self._found.get(key, Elsewhere(told, (), 0))
        ranks = sorted({*known.first, rank})
        first = told if ranks[0] == rank else known.told
        self._found[key] = Elsewhere(first, tuple(ranks[:NAMED]), known.ranks + 1)

    def lost(self, rank: int, why: str) -> None:
        """Nothing is known of a rank."""
        self._rows.setdefault(rank, RankRow(rank, missing=why))

    def _positions(self, names: tuple[str, ...]) -> Any:
        """Where the parameters of a rank stand; all at once where it has those of the rank before."""
        if names == self._names:
            return slice(None)
        if not self._places:
            self._names = names
        else:
            self._names = ()  # ranks hold different parameters: a pipeline
        for name in names:
            self._places.setdefault(name, len(self._places))
        more = len(self._places) - len(self._table["ranks"])
        if more:
            for name, (kind, start) in _COLUMNS.items():
                self._table[name] = np.concatenate([self._table[name], np.full(more, start, kind)])
        return np.fromiter((self._places[name] for name in names), np.int64, len(names))

    def _count(self, rank: int, at: Any, ints: dict[str, Any], squares: Any) -> None:
        table, received = self._table, ints["received"]
        table["ranks"][at] += 1
        table["received"][at] += received > 0
        table["parts"][at] = np.where(ints["parts"] == 1, table["parts"][at], ints["parts"])
        table["zero"][at] += (ints["measured"] > 0) & (ints["zero"] == ints["measured"])
        table["nonfinite"][at] += ints["nonfinite"] > 0
        table["fewest"][at] = np.minimum(table["fewest"][at], received)
        table["most"][at] = np.maximum(table["most"][at], received)
        table["squares"][at] += squares
        table["written"][at] += ints["written"] > 0
        table["smallest"][at] = np.minimum(table["smallest"][at], ints["numel"])
        table["largest"][at] = np.maximum(table["largest"][at], ints["numel"])
        _name(self._without, rank, at, received == 0)

    def _follow(self, rank: int, at: Any, ints: dict[str, Any], backwards: int) -> None:
        """What came first on which rank, and what was missing in the last pass of one."""
        table, received, step = self._table, ints["received"], ints["bad_at"]
        bad = step >= 0
        earlier = bad & (step < table["bad_at"][at])
        places = np.arange(len(table["ranks"]))[at]
        for place in places[earlier]:
            self._bad.pop(int(place), None)
        table["bad_first"][at] = np.where(earlier, 0, table["bad_first"][at])
        table["bad_at"][at] = np.where(earlier, step, table["bad_at"][at])
        first = bad & (step == table["bad_at"][at])
        table["bad_first"][at] += first
        stopped = (ints["since"] == 1) & (received == backwards - 1)
        table["stopped"][at] += stopped
        table["unsteady"][at] += ~stopped & (received != backwards)
        table["unmeasured"][at] += ints["measured"] < received
        _name(self._bad, rank, at, first)
        _name(self._stopped, rank, at, stopped)

    def _measure(self, rank: int, at: Any, ints: dict[str, Any], floats: dict[str, Any]) -> None:
        table, local, applied = self._table, floats["local"], floats["applied"]
        known = np.isfinite(local)
        table["local_min"][at] = np.fmin(table["local_min"][at], np.where(known, local, np.inf))
        table["local_max"][at] = np.fmax(table["local_max"][at], np.where(known, local, -np.inf))
        step, seen = table["applied_at"][at], np.isfinite(applied)
        newer = seen & (ints["applied_at"] > step)  # only norms of one step are comparable: those of the newest
        table["applied_at"][at] = step = np.where(newer, ints["applied_at"], step)
        least = np.where(newer, np.inf, table["applied_min"][at])
        most = np.where(newer, -np.inf, table["applied_max"][at])
        table["applied_min"][at], table["applied_max"][at] = least, most
        same = seen & (step == ints["applied_at"])
        low = same & ((applied < least) | ((applied == least) & (rank < table["rank_min"][at])))
        high = same & ((applied > most) | ((applied == most) & (rank < table["rank_max"][at])))
        table["applied_min"][at] = np.where(low, applied, table["applied_min"][at])
        table["applied_max"][at] = np.where(high, applied, table["applied_max"][at])
        table["rank_min"][at] = np.where(low, rank, table["rank_min"][at])
        table["rank_max"][at] = np.where(high, rank, table["rank_max"][at])

    def job(self, reporter: int = 0) -> Job:
        """All that was counted so far; ranks that were never heard of are rows, too."""
        rows = tuple(
            self._rows.get(rank, RankRow(rank, missing="it did not report")) for rank in range(max(self.world, 1))
        )
        columns = {name: column.tolist() for name, column in self._table.items()}
        across = tuple(self._across(n, i, columns) for n, i in self._places.items())
        _, rank, origin = self._origin or (0, 0, None)
        elsewhere = tuple(self._found[key] for key in sorted(self._found, key=str))
        return Job(self.world, rows, across, reporter, origin, rank, self._stages, elsewhere)

    def _across(self, name: str, place: int, columns: dict[str, list[Any]]) -> Across:
        of = {column: values[place] for column, values in columns.items()}
        whole = None
        if of["parts"] > 1 and of["ranks"] % of["parts"] == 0 and of["local_min"] <= of["local_max"]:
            whole = math.sqrt(of["squares"] * of["parts"] / of["ranks"])
        return Across(
            name,
            of["ranks"],
            of["received"],
            tuple(sorted(self._without.get(place, ()))),
            of["parts"],
            whole,
            of["zero"],
            of["nonfinite"],
            tuple(sorted(self._bad.get(place, ()))),
            of["bad_at"] if of["bad_first"] and of["bad_at"] < UNKNOWN_STEP else None,
            of["bad_first"],
            not of["unmeasured"],
            of["stopped"],
            tuple(sorted(self._stopped.get(place, ()))),
            not of["unsteady"],
            (of["fewest"], of["most"]),
            (of["local_min"], of["local_max"]) if of["local_min"] <= of["local_max"] else None,
            (of["applied_min"], of["applied_max"]) if of["applied_min"] <= of["applied_max"] else None,
            (of["rank_min"], of["rank_max"]),
            of["smallest"] == of["largest"],
            self._lost[place][1] if place in self._lost else None,
            of["written"],
            self._uses.get(place),
            of["user"] if place in self._uses else -1,
        )


def _name(book: dict[int, list[int]], rank: int, at: Any, flags: Any) -> None:
    """Note a rank at the parameters where it stands out, of many only the first ranks."""
    for place in np.flatnonzero(flags):
        found = book.setdefault(int(place if isinstance(at, slice) else at[place]), [])
        found.append(rank)
        if len(found) > NAMED:
            found.remove(max(found))  # the same few, in whatever order the ranks come


def with_job(run: Run, job: Job) -> Run:
    """The facts of one rank with those of the job: what it holds only a part of is told as the whole."""
    whole = {across.name: across for across in job.parameters if across.parts > 1}
    tallies = dict(run.tallies)
    for uid, parameter in run.parameters.items() if whole else ():
        across = whole.get(parameter.name)
        if across is not None:
            tallies[uid] = _of_whole(tallies.get(uid, Tally()), across)
    return dataclasses.replace(run, job=job, tallies=tallies)


def _of_whole(tally: Tally, across: Across) -> Tally:
    """A rank's tally, made that of the whole parameter."""
    all_zero = across.zero == across.ranks
    passes = max(tally.backwards, across.passes[1])
    return dataclasses.replace(
        tally,
        backwards=passes,
        measured=passes,
        zero=passes if all_zero else 0,
        zero_streak=passes if all_zero else 0,
        nonfinite=max(tally.nonfinite, 1 if across.nonfinite else 0),
        norm_last=tally.norm_last if across.norm is None else across.norm,
        norm_max=across.norm if tally.norm_max is None or across.norm is None else max(tally.norm_max, across.norm),
    )
