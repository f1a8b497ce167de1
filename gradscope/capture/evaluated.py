"""Only evaluated: parameters that nothing reads but what runs without gradients, a validation pass or a metric.

They are not unused, and nothing of theirs was lost on the way to a loss: the training step never calls them.
"""

from __future__ import annotations

from collections.abc import Iterable

from gradscope.capture.cuts import CutFinder
from gradscope.capture.instances import call_of
from gradscope.capture.source import resolve
from gradscope.capture.tape import Op
from gradscope.records import EVALUATED, Cut, Run

_OFF = ("no_grad", "inference_mode")


def evaluated(finder: CutFinder, run: Run, uids: Iterable[int]) -> tuple[Cut, ...]:
    """Per model whose parameters are among these and only read without gradients: a cut at the call."""
    groups: dict[str, dict[int, Op]] = {}
    for uid in sorted(uids):
        reads = [op for op in _reads(finder, uid) if op.module >= 0]
        owners = run.parameters[uid].owners
        hidden = any(op.stack.has("checkpoint") for op in reads)  # which computes anew, with gradients, on the way back
        if owners and reads and not hidden and all(op.cause in _OFF for op in reads):
            groups.setdefault(owners[0].model, {})[uid] = reads[0]
    cuts = []
    for reads_of in groups.values():
        stack = call_of(run, [list(reversed(op.stack.frames)) for op in reads_of.values()], reads_of)
        if stack.frames:
            cuts.append(Cut("unused_module", frozenset(reads_of), resolve(stack), EVALUATED, 0))
    return tuple(cuts)


def _reads(finder: CutFinder, uid: int) -> Iterable[Op]:
    """What computed something of a parameter that is no parameter itself."""
    for version in finder.tape.params.get(uid, ()):
        for child, _ in finder.down[version]:
            made = finder.tape.values[child]
            if made.op >= 0 and made.param < 0:
                yield finder.tape.ops[made.op]
