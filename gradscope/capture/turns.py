"""Turns: which part of the tape is one turn of the user's loop, and which turn to draw."""

from __future__ import annotations

import bisect
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from gradscope.capture.backward import GraphWalk
from gradscope.capture.kinds import Seen, Traced, traced_passes
from gradscope.capture.tape import Tape
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
    lent: Shares
    """The same per (user, uid of a parameter that several use)."""


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

    start: int
    end: int
    passes: tuple[Traced, ...]
    first_root: int
    """Operation before which no backward pass ran at all: what is older was set up before the loop."""
    step_start: int
    """Operation with which the step of its first pass began: what is older comes from an earlier step."""
    lead: tuple[Turn, ...] = ()
    """Those right before it that ran a part of its lines, the nearest first: critics may learn five times."""

    @property
    def steps(self) -> tuple[int, int]:
        """The first and the last step of its passes."""
        return self.passes[0].event.step, self.passes[-1].event.step

    def delivered(self) -> dict[int, float | None]:
        """Per parameter that received a gradient in this turn, its norm after the last pass that reached it."""
        norms: dict[int, float | None] = {}
        for each in self.passes:
            norms |= each.event.norms
        return norms

    def back_to(self, times: Collection[int]) -> Turn:
        """With as much of what leads up to it as holds the earliest of these operations."""
        held = [number for number, turn in enumerate(self.lead, 1) if any(turn.start <= t < turn.end for t in times)]
        if not held:
            return self
        far = self.lead[: held[-1]]
        passes = tuple(each for turn in (*reversed(far), self) for each in turn.passes)
        return replace(self, start=far[-1].start, step_start=far[-1].step_start, passes=passes, lead=())


def news(run: Run) -> set[int]:
    """The passes in which something became of gradients that a picture should show."""
    return {origin.backward for origin in run.origins if _is_news(origin, run)}


def _is_news(origin: Origin, run: Run) -> bool:
    """Not that a loss is a sum, nor what was zero at first and woke up later (LoRA)."""
    if origin.kind != "zero":
        return origin.kind != "summed"
    tallies = (run.tallies.get(uid, Tally()) for uid in origin.parameters)
    return any(tally.zero_streak or tally.zero == tally.measured for tally in tallies)


def choose_turn(tape: Tape, run: Run, measured: Mapping[int, Measured], wanted: Collection[int] = ()) -> Turn | None:
    """The turn that shows the loop best: all its backward lines, a `wanted` pass, measured, not the first.

    Of such turns the first in which most gets a gradient that is not zero.
    """
    turns = _split(traced_passes(tape, run), tape.steps, marked=run.marked)
    if not turns:
        return None

    def merit(number: int) -> tuple[int, bool, bool, bool, int, int]:
        lines = {(each.event.location, each.models) for each in turns[number]}
        reached = {uid for each in turns[number] for uid, norm in each.event.norms.items() if norm != 0}
        known = any(each.event.index in measured for each in turns[number])
        asked = any(each.event.index in wanted for each in turns[number])
        return len(lines), asked, known, number > 0, len(reached), -number

    best = max(range(len(turns)), key=merit)
    return replace(_turn(tape, turns, best), lead=tuple(_leading(tape, turns, best, marked=run.marked)))


def _turn(tape: Tape, turns: list[Passes], number: int) -> Turn:
    step = turns[number][0].event.step
    before = [each for turn in turns[:number] for each in turn if each.event.step < step]
    following = [each.begun for turn in turns[: number + 1] for each in turn if each.event.step >= step]
    return Turn(
        _end(tape, turns[number - 1][-1].begun, turns[number][0].begun) if number else 0,
        _end(tape, turns[number][-1].begun, _following(tape, turns, number)),
        tuple(turns[number]),
        tape.roots[0].op,
        _end(tape, before[-1].begun, following[0]) if before else 0,
    )


def _leading(tape: Tape, turns: list[Passes], number: int, *, marked: bool) -> Iterator[Turn]:
    """The turns before one that ran only a part of its lines, as far as they are of the same step if that is marked."""
    lines = {each.event.location for each in turns[number]}
    for earlier in range(number - 1, -1, -1):
        other = turns[earlier]
        if marked and other[-1].event.step != turns[number][0].event.step:
            return
        if not {each.event.location for each in other} < lines:
            return
        yield _turn(tape, turns, earlier)


Passes = list[Traced]


def _split(passes: Passes, steps: list[int], *, marked: bool) -> list[Passes]:
    """A turn is over when a kind of pass comes again and an optimizer has stepped since the last of its line.

    Where none ever does, it is over with the step; where there is only one, when a kind of pass comes again at all. A
    step that the user marked is never left.
    """
    turns: list[Passes] = []
    seen: dict[object, Seen] = {}
    single = not marked and len({each.event.step for each in passes}) == 1
    for each in passes:
        line = seen.get(each.event.location)
        again = line is not None and not line.is_new(each) and _over(line.last, each, steps, single=single)
        left = marked and bool(turns) and each.event.step != turns[-1][-1].event.step
        if not turns or left or again:
            turns.append([])
            seen = {}
        turns[-1].append(each)
        seen.setdefault(each.event.location, Seen(each)).add(each)
    return turns


def _over(last: Traced, each: Traced, steps: list[int], *, single: bool) -> bool:
    if not steps:
        return single or each.event.step > last.event.step
    return bisect.bisect_left(steps, each.begun) > bisect.bisect_left(steps, last.begun)


def _following(tape: Tape, turns: list[Passes], number: int) -> int:
    return turns[number + 1][0].begun if number + 1 < len(turns) else len(tape.ops) + 1


def _end(tape: Tape, last: int, following: int) -> int:
    """The operation at which a turn ends: its last optimizer step before the `following` pass, else its last pass."""
    at = bisect.bisect_left(tape.steps, following) - 1
    return max(last, tape.steps[at]) if at >= 0 else last


def measured_in(graph: GraphWalk, tape: Tape, uids: Mapping[int, int]) -> Measured:
    """What a recorded backward brought back to operations, and of that what came from which of several users.

    `uids`: the parameter of each leaf of the graph.
    """
    return Measured(_sizes(graph, tape), *_shares(graph, tape, uids))


def _shares(graph: GraphWalk, tape: Tape, uids: Mapping[int, int]) -> tuple[Shares, Shares]:
    """What came to results and to parameters. What a user's own function sent to these is of no operation."""
    shares: dict[tuple[int, int], float | None] = {}
    lent: dict[tuple[int, int], float | None] = {}
    for step in graph.steps:
        user = tape.op_of_node(step.sequence) if step.sent else -1
        for slot, norm in step.sent.items():
            to = step.next[slot][0]
            if to in graph.leaves:
                at = (-1 if step.name.endswith("Backward") else user, uids.get(to, -1))
                lent[at] = None if at in lent else norm
                continue
            maker = tape.op_of_node(graph.steps[to].sequence)
            if maker >= 0 and maker != user:
                shares[user, maker] = None if (user, maker) in shares else norm
    return shares, lent


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
