"""Turns: which part of the tape is one turn of the user's loop, and which turn to draw."""

from __future__ import annotations

import bisect
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from gradscope.capture.backward import GraphWalk
from gradscope.capture.tape import Root, Tape
from gradscope.records import Backward

MEASURED_STEPS = 8
"""Gradient norms at the nodes of the graph are kept for so many steps: the drawn one is among the first."""

Sizes = Mapping[int, float]
"""Per operation: norm of the gradient that came back to its result."""


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


def choose_turn(
    tape: Tape, events: Iterable[Backward], measured: Mapping[int, Sizes], wanted: Collection[int] = ()
) -> Turn | None:
    """The turn that shows the loop best: all its backward lines, a `wanted` pass, not the first, most reached."""
    passes = {event.index: event for event in events}
    roots = [(root, passes[root.backward]) for root in tape.roots if root.backward in passes and root.value >= 0]
    turns = _split(roots, tape.steps)
    if not turns:
        return None

    def merit(number: int) -> tuple[int, bool, bool, bool, int, int]:
        lines = {event.location for _, event in turns[number]}
        reached = {uid for _, event in turns[number] for uid in event.norms}
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


def sizes_of(graph: GraphWalk, tape: Tape) -> dict[int, float]:
    """Per operation the norm of the gradient at its result, from a recorded backward.

    An operation may make several nodes of the graph; the one made last is nearest to its result.
    """
    latest: dict[int, int] = {}
    sizes: dict[int, float] = {}
    for number, step in enumerate(graph.steps):
        if step.norm is None or number in graph.leaves:
            continue
        op = tape.op_of_node(step.sequence)
        if op >= 0 and step.sequence >= latest.get(op, -1):
            latest[op] = step.sequence
            sizes[op] = step.norm
    return sizes
