"""How often each line ran a backward pass, what it reached, and what it reached last when."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from gradscope.records import Backward, Location, Passes
from gradscope.records.columns import Cohort, Column

LINES = 64
"""Lines of backward passes that are counted apart."""
GATHERED = 16
"""Different cohorts of one line that wait to be written down per parameter."""


@dataclass(slots=True, eq=False)
class _Line:
    """`count` passes; per parameter, and per cohort that is not written down yet, the number of the last one."""

    count: int = 0
    last: dict[int, int] = field(default_factory=dict)
    newest: dict[Cohort, int] = field(default_factory=dict)

    def add(self, cohort: Cohort) -> None:
        if len(self.newest) >= GATHERED and cohort not in self.newest:
            self.last = self.settled()
            self.newest.clear()
        self.newest[cohort] = self.count
        self.count += 1

    def settled(self) -> dict[int, int]:
        """Per parameter the number of the last pass."""
        last = dict(self.last)
        for cohort, number in sorted(self.newest.items(), key=lambda item: item[1]):
            last.update(dict.fromkeys(cohort.uids, number))
        return last


class Lines:
    """`Passes` while they grow."""

    def __init__(self, before: Iterable[Passes] = ()) -> None:
        self._lines = {
            line.location: _Line(line.count, dict.fromkeys(line.reached, line.count - 1) | dict(line.last))
            for line in before
        }

    def add(self, event: Backward) -> None:
        """A pass ran."""
        line = self._lines.get(event.location)
        if line is None:
            if len(self._lines) >= LINES:
                return
            line = self._lines[event.location] = _Line()
        line.add(event.norms.cohort if isinstance(event.norms, Column) else Cohort(event.norms))

    def freeze(self) -> tuple[Passes, ...]:
        """What was counted so far."""
        return tuple(_frozen(location, line) for location, line in self._lines.items())


def _frozen(location: Location | None, line: _Line) -> Passes:
    last = line.settled()
    return Passes(
        location, line.count, frozenset(last), {u: number for u, number in last.items() if number < line.count - 1}
    )
