"""Backward passes of one line that are not of one kind: a loop over critics, a helper that several models go through.

A pass is of another kind than those of its line before if it reaches no parameter that they reached, if other
optimizers step after it, or if it reaches a model that they did not and leaves out one that they did. What merely
leaves out a part (a layer that is dropped at random) is of the same kind. Parameters that came while training tell
nothing: a copy that is made in each step is the same model each time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from gradscope.capture.tape import Root, Tape
from gradscope.records import Backward, OptimizerStep, Run
from gradscope.records.columns import receivers

MOST_TOLD = 6
"""Kinds of pass of one line that are told apart by name; of more nobody would read the names."""
MOST_NAMES = 3


class Traced(NamedTuple):
    """A traced backward pass."""

    roots: tuple[Root, ...]
    """What it started from: mostly one loss."""
    event: Backward
    reached: frozenset[int]
    """Parameters in which it left a gradient, of those that were there from the beginning."""
    models: frozenset[str]
    """The models of these."""
    stepped: frozenset[int]
    """The optimizers that stepped after it, before the next pass."""

    @property
    def begun(self) -> int:
        """The operation before which it began."""
        return self.roots[0].op


def traced_passes(tape: Tape, run: Run) -> list[Traced]:
    """The passes of a tape that are still known, in order."""
    known: dict[int, tuple[Backward, set[int]]] = {}
    followers = set[int]()
    for event in run.events:
        if isinstance(event, Backward):
            followers = set()
            known[event.index] = event, followers
        elif isinstance(event, OptimizerStep):
            followers.add(event.optimizer)
    roots: dict[int, list[Root]] = {}
    for root in tape.roots:
        if root.value >= 0 and root.backward in known:
            roots.setdefault(root.backward, []).append(root)
    found = []
    for index, together in roots.items():
        event, stepped = known[index]
        reached = frozenset(
            u for u in receivers(event.norms) if (p := run.parameters.get(u)) is not None and not p.late
        )
        models = frozenset(owners[0].model for u in reached if (owners := run.parameters[u].owners))
        found.append(Traced(tuple(together), event, reached, models, frozenset(stepped)))
    return found


@dataclass(slots=True)
class Seen:
    """What the passes of one line have done so far in a turn of the loop."""

    last: Traced
    reached: frozenset[int] = frozenset()
    models: frozenset[str] = frozenset()
    stepped: frozenset[int] = frozenset()

    def add(self, each: Traced) -> None:
        """A pass belongs to the turn."""
        self.last = each
        self.reached |= each.reached
        self.models |= each.models
        self.stepped |= each.stepped

    def is_new(self, each: Traced) -> bool:
        """Whether a pass is of another kind than all before."""
        elsewhere = bool(each.reached) and bool(self.reached) and self.reached.isdisjoint(each.reached)
        others = bool(each.stepped) and bool(self.stepped) and self.stepped.isdisjoint(each.stepped)
        return elsewhere or others or bool(each.models - self.models and self.models - each.models)


def beneficiaries(passes: Sequence[Traced], models: Sequence[str]) -> dict[int, str]:
    """Per index of a pass whose line has passes of several kinds: which of the models it is for, in their order."""
    kinds: dict[object, set[frozenset[str]]] = {}
    for each in passes:
        kinds.setdefault(each.event.location, set()).add(each.models)
    return {
        each.event.index: _listed([name for name in models if name in each.models])
        for each in passes
        if each.models and 1 < len(kinds[each.event.location]) <= MOST_TOLD
    }


def _listed(names: list[str]) -> str:
    return ", ".join(names[:MOST_NAMES]) + ", \u2026" * (len(names) > MOST_NAMES)
