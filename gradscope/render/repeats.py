"""Find repeated sibling blocks (`layers.0` .. `layers.11` of one shape), so that they can be drawn as one box.

* Siblings are compared by their shape alone (class, state, what hangs below), never by their neighbours:
  the first and the last block have other neighbours than the rest.
* A run may have a period: Linear, ReLU, Linear, ReLU ... is "(Linear, ReLU) x500". Not where those of one kind differ
  in their state: of experts of which every third is dead it would not say which.
* Siblings that take no part in the step (experts that were not chosen) are neither before nor after others: those of
  one shape are drawn as one wherever they stand, and the others as if they stood side by side.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from gradscope.diagnosis.numbered import ranges

Fqn = tuple[str, ...]
Turn = tuple[tuple[Fqn, int], ...]
"""Per run on the way down: the folded path of the run, and which of its blocks."""

MIN_REPEATS = 3
MAX_PERIOD = 8


@dataclass(frozen=True, slots=True)
class Run:
    """Siblings drawn as one: `label` is "0-11", or "{0-2,5}" where others stand between them.

    With a period above 1 they become a single box.
    """

    label: str
    repeats: int
    period: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where a module is drawn: its path after folding, its turn in each run on the way, how many turns there are."""

    path: Fqn
    turn: Turn = ()
    repeats: int = 1


class Repeats:
    """The runs among the modules of one model, from the shape of each drawn (leaf) module."""

    def __init__(
        self,
        shapes: Mapping[Fqn, Hashable],
        kinds: Mapping[Fqn, Hashable] | None = None,
        idle: Collection[Fqn] = (),
    ) -> None:
        """`kinds`: the same without the state. Without them no state is told from a kind. `idle` take no part."""
        self._busy = {path[:depth] for path in shapes if path not in idle for depth in range(len(path) + 1)}
        self._runs: dict[Fqn, tuple[Run, int]] = {}
        self._places: dict[Fqn, Place] = {}
        kind = _numbered(kinds) if kinds is not None else {}
        for parent, children, number in _families(shapes):
            self._fold_family(parent, children, number, kind)

    def place(self, path: Fqn) -> Place:
        """Where the module at `path` is drawn."""
        if path not in self._places:
            self._places[path] = self._walk(path)
        return self._places[path]

    def _walk(self, path: Fqn) -> Place:
        folded: list[str] = []
        turn: list[tuple[Fqn, int]] = []
        repeats = 1
        for depth, name in enumerate(path, 1):
            run, index = self._runs.get(path[:depth], (None, 0))
            if run is None:
                folded.append(name)
                continue
            folded.append(run.label)
            turn.append((tuple(folded), index))
            repeats *= run.repeats
            if run.period > 1:
                break
        return Place(tuple(folded), tuple(turn), repeats)

    def _fold_family(
        self, parent: Fqn, children: Iterable[str], number: Mapping[Fqn, int], kind: Mapping[Fqn, int]
    ) -> None:
        counted = sorted((c for c in children if c.isascii() and c.isdigit()), key=lambda c: (int(c), c))
        busy = [c for c in counted if (*parent, c) in self._busy]
        shapes = [number[(*parent, c)] for c in busy]
        kinds = [kind.get((*parent, c), number[(*parent, c)]) for c in busy]
        runs = [(busy[at : at + period * repeats], period) for at, period, repeats in find_runs(shapes, kinds)]
        idle: dict[int, list[str]] = {}
        for child in counted:
            if (*parent, child) not in self._busy:
                idle.setdefault(number[(*parent, child)], []).append(child)
        runs += [(members, 1) for members in idle.values() if len(members) >= MIN_REPEATS]
        for members, period in runs:
            run = Run(ranges(members, counted), len(members) // period, period)
            for index, child in enumerate(members):
                self._runs[(*parent, child)] = (run, index // period)


def _families(shapes: Mapping[Fqn, Hashable]) -> Iterator[tuple[Fqn, list[str], dict[Fqn, int]]]:
    """(parent, children, number of each shape) from the deepest level upwards; equal shapes have equal numbers."""
    known: dict[Hashable, int] = {}
    number = {path: known.setdefault(shape, len(known)) for path, shape in shapes.items()}
    for depth in range(max((len(p) for p in shapes), default=0), 0, -1):
        families: dict[Fqn, list[str]] = {}
        for path in number:
            if len(path) == depth:
                families.setdefault(path[:-1], []).append(path[-1])
        for parent, children in families.items():
            yield parent, children, number
            below = tuple(sorted((c, number[(*parent, c)]) for c in children))
            shape = (number.get(parent), below)
            number[parent] = known.setdefault(shape, len(known))


def _numbered(shapes: Mapping[Fqn, Hashable]) -> dict[Fqn, int]:
    number: dict[Fqn, int] = {}
    for _, _, number in _families(shapes):  # noqa: B007 - all are in it when the last has come
        pass
    return number


def other_turn(first: Turn, second: Turn) -> bool:
    """Whether two modules are in different blocks of one run: data between them goes from turn to turn."""
    for (run, index), (other_run, other_index) in zip(first, second, strict=False):
        if run != other_run:
            return False
        if index != other_index:
            return True
    return False


def find_runs(shapes: Sequence[int], kinds: Sequence[int] | None = None) -> list[tuple[int, int, int]]:
    """(start, period, repeats) of the runs in a list, left to right; the longest wins, then the shortest period.

    Of one kind no two shapes are in a period.
    """
    kinds = shapes if kinds is None else kinds
    found = []
    start = 0
    while start < len(shapes):
        best = (0, 0, 0)
        for period in range(1, MAX_PERIOD + 1):
            inside = slice(start, start + period)
            if len(set(zip(kinds[inside], shapes[inside], strict=True))) > len(set(kinds[inside])):
                break
            repeats = _repeats(shapes, start, period)
            if repeats >= MIN_REPEATS and repeats * period > best[0]:
                best = (repeats * period, period, repeats)
        if best[0]:
            found.append((start, best[1], best[2]))
        start += best[0] or 1
    return found


def _repeats(shapes: Sequence[int], start: int, period: int) -> int:
    end = start + period
    while end < len(shapes) and shapes[end] == shapes[end - period]:
        end += 1
    return (end - start) // period
