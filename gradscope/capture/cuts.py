"""Cuts: for parameters that got no gradient, where on the way to the loss it was lost.

Whether a parameter is connected is autograd's to say. Given that it is not, every way from it to the loss
on the tape leads through a place where the value went on and the gradient did not. Of several such places:

* a term of the loss that carries no gradient at all is the strongest sign (the user wrote a term that trains nothing);
* a loss that was computed and never used comes next;
* then the cut nearest to the loss: a `detach()` that feeds another network's input is usually meant;
* a target that a prediction is compared with comes after what cut the prediction;
* selections (argmax, comparisons) come later: no gradient could ever have passed there;
* then what only leads to losses whose gradient the parameter's own optimizer does not apply: a critic's;
* and last of all what only renews a copy that no loss trains: a target network, a teacher, an average of weights.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable
from dataclasses import replace

from gradscope.capture import operations
from gradscope.capture.candidates import TARGET, Candidate, Frames, lead_there, record
from gradscope.capture.cut_causes import CutCauses
from gradscope.capture.dropped import dropped_in, handed_over
from gradscope.capture.losses import Losses
from gradscope.capture.recomputed import Recomputed
from gradscope.capture.returns import Returns
from gradscope.capture.serial import Serial
from gradscope.capture.shadows import Shadows
from gradscope.capture.statements import bound_in
from gradscope.capture.tape import Op, Tape
from gradscope.capture.targets import MEANT, Targets
from gradscope.records import FROZEN_RANK, SAVE, Cut

DEAD_TERM, LATE_LOSS, RETURNED, NEAR = 0, 50, 60, 100
UNUSED_LOSS, SELECTION, FROZEN, ELSEWHERE, UNUSED, SHADOW = 1000, 1200, FROZEN_RANK, 2500, 3000, 3500
_FAR = 800
_EVIDENCE = ("traced", "inferred")


class CutFinder:
    """Answers for one tape; what is common to all parameters is worked out once."""

    def __init__(self, tape: Tape) -> None:
        self.tape = tape
        self.down = tape.children()
        self.losses = Losses(tape)
        self.distance = self.losses.distance
        self.marks = sorted([(root.op, "root") for root in tape.roots] + [(op, "step") for op in tape.steps])
        self.returns = Returns(tape, self.down, self.distance)
        self.causes = CutCauses(tape, self.down)
        self.recomputed = Recomputed(tape, self.down)
        self.serial = Serial(tape, self.down, self.distance)
        self.targets = Targets(tape, self.down, self.distance.keys())
        self.shadows = Shadows(tape, self.down, self.losses)

    @property
    def ends_dead(self) -> bool:
        """Whether the last `backward()` was called on what requires no gradient: torch raises then."""
        return bool(self.tape.roots) and not self.tape.values[self.tape.roots[-1].value].requires

    def find(self, uids: Iterable[int]) -> tuple[Cut, ...]:
        """Cuts of all these parameters, those of one place together, likeliest first.

        Of equal ones what is done in every step comes before what was done once before the first.
        """
        together: dict[tuple[object, ...], tuple[Candidate, set[int]]] = {}
        last: dict[tuple[object, ...], int] = {}
        ways: dict[tuple[object, ...], dict[int, set[Frames]]] = {}
        direct: dict[tuple[object, ...], set[int]] = {}
        into: dict[tuple[object, ...], set[int]] = {}
        for uid in uids:
            found = self.candidates(uid)
            for candidate in [*found, *self._again(uid, found[:1])]:
                key = (*candidate.place, candidate.likely)
                ways.setdefault(key, {}).setdefault(uid, set()).add(candidate.stack.frames)
                known = together.setdefault(key, (candidate, set()))
                known[1].add(uid)
                if candidate.source >= 0 and self.tape.values[candidate.source].param == uid:
                    direct.setdefault(key, set()).add(uid)
                if candidate.cause == "copied":
                    into.setdefault(key, set()).update(self.shadows.receivers(candidate.value))
                last[key] = max(last.get(key, 0), candidate.when)
                evidence = min(candidate.evidence, known[0].evidence, key=_EVIDENCE.index)
                if candidate.order < known[0].order:
                    together[key] = (candidate, known[1])
                together[key][0].evidence = evidence
        first = self.tape.roots[0].op if self.tape.roots else 0
        order = {key: (pair[0].rank, last[key] < first, pair[0].order) for key, pair in together.items()}
        turned = len(set(self.tape.held)) < len(self.tape.held)  # an optimizer stepped again
        for key, (candidate, _) in together.items():
            candidate.once = turned and last[key] < first and not candidate.serial
            candidate.detached = self.causes.how_detached(
                candidate.op, candidate.value, first if candidate.once else -1
            )
        for key, each in ways.items():
            lead_there(together[key][0], list(each.values()))
        return tuple(
            record(together[key][0], frozenset(together[key][1]), frozenset(direct.get(key, ())), into.get(key, ()))
            for key in sorted(together, key=order.__getitem__)
        )

    # --- candidates ------------------------------------------------------------------------------------------

    def candidates(self, uid: int) -> list[Candidate]:
        """Possible culprits for one parameter, likeliest first."""
        versions = self.tape.params.get(uid, [])
        carry = self._carriers(versions)
        found: list[Candidate] = []
        frozen: list[Candidate] = []
        shadows: list[Candidate] = []
        for value in carry:
            for child, live in self.down[value]:
                if live or child in carry or self.tape.values[child].param == uid:
                    continue
                candidate = self._cut(uid, value, child)
                if candidate is None and (op := self.recomputed.dropped(child)) is not None:
                    candidate = Candidate("unused_output", bound_in(op.stack), op, UNUSED)
                if candidate is not None:
                    frozen_there = candidate.cause == "requires_grad_false"
                    (frozen if frozen_there else shadows if candidate.rank >= SHADOW else found).append(candidate)
                    found.extend(self._read_again(candidate))
        lives = any(live for v in versions for _, live in self.down[v])
        found.extend(self._unused(carry - set(versions), {c.source for c in found}))
        if not lives or not found:
            found.extend(frozen)
        found.extend([] if found else shadows)
        self._put_targets_last(found)
        return sorted(found, key=lambda c: c.order)

    def _read_again(self, cut: Candidate) -> Iterable[Candidate]:
        """Where that was read again which was cut by being written down."""
        for value, _ in self.down[cut.value] if cut.op is not None and cut.op.name == SAVE else ():
            loaded = self.tape.ops[self.tape.values[value].op]
            yield replace(cut, stack=loaded.stack, op=loaded, rank=cut.rank + 1)

    def _again(self, uid: int, found: list[Candidate]) -> Iterable[Candidate]:
        """The next cut behind the likeliest one, where no gradient would pass even if that one were mended."""
        for first in found:
            behind = self.serial.behind(first.value) if first.value >= 0 and first.evidence == "traced" else None
            op = self.tape.ops[self.tape.values[behind[1]].op] if behind is not None else None
            if behind is not None and op is not None:
                cause, stack = self.causes.of(uid, *behind, op)
                if cause == "checkpoint" and first.op is not None and first.op.stack.has("checkpoint"):
                    continue  # both are inside of it
                far = self.distance.get(behind[1], 0)
                yield Candidate(
                    cause, stack, op, first.rank + 1, far=far, value=behind[1], source=behind[0], serial=True
                )

    def _put_targets_last(self, found: list[Candidate]) -> None:
        """Where the likeliest cut only made a target, for what another cut broke or beside it, put it after that one.

        A selection broke it as well: the code of a quantiser that has no straight-through estimator.
        """
        near = [c for c in found if c.rank == DEAD_TERM or NEAR <= c.rank < TARGET]
        chosen = [
            c for c in found if c.cause == "non_differentiable" and c.evidence == "traced" and c.rank >= SELECTION
        ]
        while near:
            first = min(near, key=lambda c: c.order)
            rivals = [c for c in (*near, *chosen) if c.place != first.place]
            values = {c.value for c in rivals}
            if first.cause not in MEANT or not rivals:
                return
            if not self.targets.aims_at(first.value, values) and not self._is_only_a_target(first, rivals):
                return
            behind = TARGET if any(c.rank < TARGET for c in rivals) else min(c.rank for c in rivals) + 1
            for candidate in near:
                if candidate.place == first.place:
                    candidate.rank = behind
            near = [c for c in near if c.place != first.place]

    def _is_only_a_target(self, first: Candidate, rivals: list[Candidate]) -> bool:
        """Whether it only made a target of another model's, and a likely one of the others made more than that."""
        near = [c.value for c in rivals if c.likely]
        return self.targets.is_one(first.value) and not all(map(self.targets.is_one, near))

    def _carriers(self, versions: Iterable[int]) -> set[int]:
        carry, todo = set(versions), list(versions)
        while todo:
            for child, live in self.down[todo.pop()]:
                if live and child not in carry:
                    carry.add(child)
                    todo.append(child)
        return carry

    def _cut(self, uid: int, value: int, child: int) -> Candidate | None:
        values = self.tape.values
        index = values[child].op
        op = self.tape.ops[index] if index >= 0 else None
        if op is None or op.name in operations.UNRELATED:
            return None
        cause, stack = self.causes.of(uid, value, child, op)
        if cause == "checkpoint" and (inner := self.recomputed.cut(child)) is not None:
            cause, stack, op, child = inner
        own = self.losses.own(uid)
        elsewhere = bool(own) and child not in own
        distance = own if child in own else self.distance
        reach, carrier = self._reach(child, distance)
        if carrier is not None and cause in ("no_grad", "inference_mode", "detach", "data"):
            cause, stack = self.causes.carried(carrier)
        evidence = "traced"
        if reach is None:
            reach = RETURNED if self.returns.does(child) else None
            evidence = "inferred"
        if reach is None:
            return None
        if cause == "non_differentiable" and reach != DEAD_TERM:
            reach += SELECTION
        elif cause == "non_differentiable":
            reach = NEAR - 1
        elif cause == "requires_grad_false":
            reach += FROZEN
        if self.shadows.take(value, child):
            reach += SHADOW
        elif elsewhere and evidence == "traced":
            reach += ELSEWHERE
        return Candidate(cause, stack, op, reach, evidence, "", distance.get(child, 0), child, value)

    # --- does it matter? -------------------------------------------------------------------------------------

    def _reach(self, start: int, distance: dict[int, int]) -> tuple[int | None, Op | None]:
        """How a value that lost its gradient gets to a loss: a rank, or None if it does not.

        Also the operation that wrote it into a parameter, if that is the only way.
        """
        if start not in distance:
            return None, None
        values = self.tape.values
        best, copy, free = _FAR, None, False
        todo, seen = [start], {start}
        while todo:
            value = todo.pop()
            if values[value].param >= 0 and value != start and value not in self.tape.born:
                if values[value].op >= 0:
                    copy = copy or self.tape.ops[values[value].op]
                    best = min(best, distance.get(value, _FAR))
                continue
            if distance.get(value) == 0:
                return DEAD_TERM, None
            for child, _ in self.down[value]:
                if child not in distance or child in seen:
                    continue
                seen.add(child)
                if values[child].requires:
                    scalar = values[value].numel == 1 and values[child].numel == 1 and values[value].floating
                    if scalar and child in self.losses.live and self._is_sum(child):
                        return DEAD_TERM, None
                    if values[child].param >= 0 and child not in self.tape.born:
                        todo.append(child)
                        continue
                    free = True
                    best = min(best, distance[child])
                else:
                    todo.append(child)
        return NEAR + best, None if free else copy

    def _is_sum(self, value: int) -> bool:
        op = self.tape.values[value].op
        return op >= 0 and self.tape.ops[op].name in (
            "add", "__add__", "__radd__", "__iadd__", "add_", "sub", "__sub__", "__rsub__", "stack", "cat", "sum",
            "__isub__", "rsub",
        )  # fmt: skip

    # --- computed and dropped --------------------------------------------------------------------------------

    def _unused(self, carry: set[int], cut: set[int]) -> list[Candidate]:
        """Live values that lead nowhere: a loss never used, an output never read. What was `cut` leads somewhere.

        A spare output, beside which its operation made another that was used (hidden states of an LSTM), comes last.
        """
        best: Candidate | None = None
        made = (self.tape.values[value].op for value in cut)  # by the line that in another turn led to a cut
        lines = {self.tape.ops[at].stack.frames[:1] for at in made if at >= 0}
        for value in carry:
            if value in self.distance or any(live for _, live in self.down[value]):
                continue
            op = self.tape.ops[self.tape.values[value].op] if self.tape.values[value].op >= 0 else None
            if op is None:
                continue
            rank = UNUSED
            if self.tape.values[value].numel == 1:
                rank = LATE_LOSS if self._just_before_step(op.index) else UNUSED_LOSS
            if rank != LATE_LOSS and (value in cut or (rank == UNUSED and op.stack.frames[:1] in lines)):
                continue
            spare = any(live for other in op.outputs if other != value for _, live in self.down[other])
            candidate = Candidate(
                "unused_output", handed_over(dropped_in(bound_in(op.stack))), op, rank, far=int(spare)
            )
            if best is None or candidate.order < best.order:
                best = candidate
        return [best] if best is not None else []

    def _just_before_step(self, op: int) -> bool:
        """Between the last backward of a turn and a step: a loss on which backward() was forgotten."""
        at = bisect.bisect_right(self.marks, (op, "z"))
        return 0 < at < len(self.marks) and self.marks[at - 1][1] == "root" and self.marks[at][1] == "step"
