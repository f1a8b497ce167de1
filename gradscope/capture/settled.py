"""What tracing found, kept as facts after its tape was let go."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from gradscope.records import Cut, Graph, Path, Run


@dataclasses.dataclass(frozen=True, slots=True)
class Settled:
    """The facts of one traced step, and those of the steps traced before."""

    cuts: tuple[Cut, ...]
    never_used: frozenset[int]
    unseen: frozenset[int]
    graph: Graph | None
    built: Mapping[str, Path]
    lost: Mapping[int, int]
    """Parameters that got no gradient any more, and the last pass that had left one."""
    before: Settled | None = None

    def onto(self, run: Run, steps: int) -> Run:
        """A run with these facts added. A cut of a parameter that got a gradient later is no fact any more."""
        silent = {u for u in run.parameters if not (t := run.tallies.get(u)) or not t.backwards} | self._still(run)
        cuts = dict.fromkeys(cut for cut in (*run.cuts, *self._all_cuts()) if cut.parameters & silent)
        unused, unseen = self._never_used(), run.unseen | self._unseen()
        if run.traced:
            unused &= run.never_used
        return dataclasses.replace(
            run,
            cuts=tuple(cuts),
            never_used=unused - unseen,
            unseen=unseen,
            traced=max(run.traced, steps),
            graph=run.graph or self._graph(),
            built={**self._built(), **run.built},
        )

    def _built(self) -> dict[str, Path]:
        return {**(self.before._built() if self.before is not None else {}), **self.built}

    def _graph(self) -> Graph | None:
        """The newest there is."""
        return self.graph or (self.before._graph() if self.before is not None else None)

    def _still(self, run: Run) -> set[int]:
        """Those that had lost their gradient, and that none has reached since."""
        before = self.before._still(run) if self.before is not None else set()
        return before | {u for u, last in self.lost.items() if run.tallies[u].last_backward == last}

    def _all_cuts(self) -> tuple[Cut, ...]:
        return (*self.cuts, *(self.before._all_cuts() if self.before is not None else ()))

    def _unseen(self) -> frozenset[int]:
        return self.unseen if self.before is None else self.unseen | self.before._unseen()

    def _never_used(self) -> frozenset[int]:
        return self.never_used if self.before is None else self.never_used & self.before._never_used()
