"""Turns: which part of the tape is one turn of the user's loop, and which turn to draw."""

from __future__ import annotations

import bisect
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from gradscope.capture.backward import GraphWalk
from gradscope.capture.tape import Root, Tape
from gradscope.records import Backward, Origin, Run, Tally

MEASURED_STEPS = 8
"""Gradient norms at the nodes of the graph are kept for so many steps, and for those of the origins found last."""
MAX_PASSES = 64
"""When so many passes are kept, those that nobody will draw are let go."""

Sizes = Mapping[int, float | None]
"""Per operation: norm of the gradient that came back to its result, None if the pass reached it and brought none."""

Shares = Mapping[tuple[int, int], float | None]
"""Per (user, maker): norm of what one of several users sent back to a result; None where it is not one number."""


class Measured(NamedTuple):
    """What one traced pass brought back."""

    sizes: Sizes
    shares: Shares


class SizeBook:
    """What each traced pass brought back to the operations, for the passes that may be drawn."""

    def __init__(self) -> None:
        self.known: dict[int, Measured] = {}
        self._steps: dict[int, int] = {}

    def add(self, event: Backward, measured: Measured, wanted: Collection[int]) -> None:
        """Keep a pass; `wanted` are steps whose passes have to stay."""
        self.known[event.index] = measured
        self._steps[event.index] = event.step
        if len(self.known) <= MAX_PASSES:
            return
        for index, step in list(self._steps.items()):
            if step >= MEASURED_STEPS and step < event.step - 1 and step not in wanted:
                del self.known[index], self._steps[index]

    def clear(self) -> None:
        """Let all go."""
        self.known.clear()
        self._steps.clear()


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of the loop: operations `start` to `end`, and the backward passes in it."""

    step: int
    start: int
    end: int
    roots: tuple[tuple[Root, Backward], ...]
    first_root: int
    """Operation before which no backward pass ran at all: what is older was set up before the loop."""

    def delivered(self) -> dict[int, float | None]:
        """Per parameter that received a gradient in this turn, its norm after the last pass that reached it."""
        norms: dict[int, float | None] = {}
        for _, event in self.roots:
            norms |= event.norms
        return norms


def news(run: Run) -> set[int]:
    """The passes in which something became of gradients that a picture should show."""
    return {origin.backward for origin in run.origins if _is_news(origin, run)}


def _is_news(origin: Origin, run: Run) -> bool:
    """Not that a loss is a sum, nor what was zero at first and woke up later (LoRA)."""
    if origin.kind != "zero":
        return origin.kind != "summed"
    tallies = (run.tallies.get(uid, Tally()) for uid in origin.parameters)
    return any(tally.zero_streak or tally.zero == tally.measured for tally in tallies)


def choose_turn(
    tape: Tape, events: Iterable[Backward], measured: Mapping[int, Measured], wanted: Collection[int] = ()
) -> Turn | None:
    """The turn that shows the loop best: all its backward lines, a `wanted` pass, measured, not the first.

    Of such turns the first in which most gets a gradient that is not zero.
    """
    passes = {event.index: event for event in events}
    roots = [(root, passes[root.backward]) for root in tape.roots if root.backward in passes and root.value >= 0]
    turns = _split(roots, tape.steps)
    if not turns:
        return None

    def merit(number: int) -> tuple[int, bool, bool, bool, int, int]:
        lines = {event.location for _, event in turns[number]}
        reached = {uid for _, event in turns[number] for uid, norm in event.norms.items() if norm != 0}
        known = any(event.index in measured for _, event in turns[number])
        asked = any(event.index in wanted for _, event in turns[number])
        return len(lines), asked, known, number > 0, len(reached), -number

    best = max(range(len(turns)), key=merit)
    start = _end(tape, turns, best - 1) if best else 0
    step = turns[best][-1][1].step
    return Turn(step, start, _end(tape, turns, best), tuple(turns[best]), tape.roots[0].op)


Passes = list[tuple[Root, Backward]]


def _split(roots: Passes, steps: list[int]) -> list[Passes]:
    """A turn is over when a backward line comes again after an optimizer stepped (or at all, if none ever does)."""
    turns: list[Passes] = []
    lines: set[object] = set()
    for root, event in roots:
        begun = turns[-1][0][0].op if turns else 0
        stepped = not steps or bisect.bisect_left(steps, root.op) > bisect.bisect_left(steps, begun)
        if not turns or (event.location in lines and stepped):
            turns.append([])
            lines = set()
        turns[-1].append((root, event))
        lines.add(event.location)
    return turns


def _end(tape: Tape, turns: list[Passes], number: int) -> int:
    """The operation at which a turn ends: its last optimizer step, else its last backward."""
    last = turns[number][-1][0].op
    following = turns[number + 1][0][0].op if number + 1 < len(turns) else len(tape.ops) + 1
    at = bisect.bisect_left(tape.steps, following) - 1
    return max(last, tape.steps[at]) if at >= 0 else last


def measured_in(graph: GraphWalk, tape: Tape) -> Measured:
    """What a recorded backward brought back to operations, and of that what came from which of several users."""
    return Measured(_sizes(graph, tape), _shares(graph, tape))


def _shares(graph: GraphWalk, tape: Tape) -> dict[tuple[int, int], float | None]:
    shares: dict[tuple[int, int], float | None] = {}
    for step in graph.steps:
        user = tape.op_of_node(step.sequence) if step.sent else -1
        for slot, norm in step.sent.items():
            maker = tape.op_of_node(graph.steps[step.next[slot][0]].sequence)
            if maker >= 0 and maker != user:
                shares[user, maker] = None if (user, maker) in shares else norm
    return shares


def _sizes(graph: GraphWalk, tape: Tape) -> dict[int, float | None]:
    """Per operation the norm of the gradient at its result, from a recorded backward.

    An operation may make several nodes of the graph; the one made last is nearest to its result. The node of a user's
    own function (its name has no number) is none of an operation.
    """
    latest: dict[int, int] = {}
    sizes: dict[int, float | None] = {}
    silent: set[int] = set()
    heard: set[int] = set()
    for number, step in enumerate(graph.steps):
        own = step.name.endswith("Backward")
        op = -1 if own or number in graph.leaves else tape.op_of_node(step.sequence)
        if op < 0:
            continue
        came = any(size is not None for size in step.into)
        (heard if came else silent).add(op)
        if step.norm is not None and step.sequence >= latest.get(op, -1):
            latest[op] = step.sequence
            sizes[op] = step.norm
    return {**dict.fromkeys(silent - heard), **sizes}
