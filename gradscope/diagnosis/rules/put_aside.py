"""Put aside: another tensor took a parameter's place in the optimizer, and the model goes on with the old one."""

from __future__ import annotations

from collections.abc import Iterator

from gradscope.diagnosis.causes import Cause
from gradscope.diagnosis.finding import Evidence, Finding, Severity
from gradscope.diagnosis.rules.common import by_model, finding, is_idle, tally
from gradscope.records import Optimizer, Path, Run

PASSES = 3
"""Steps that the optimizer has to have taken with the new tensor, and last passes one of which reached the old."""
_WORDS = Cause(
    "the optimizer holds another tensor in its place, which the model does not use, made",
    "give the new tensor to the model as well: self.x = group['params'][0] = nn.Parameter(...)",
)


def put_aside(run: Run, code: tuple[str, str]) -> Iterator[Finding]:
    """One finding per line that made the new tensors, and model."""
    held = {uid for optimizer in run.optimizers for uid in optimizer.parameters}
    groups: dict[Path, list[int]] = {}
    for optimizer in run.optimizers:
        strangers = _strangers(run, optimizer) if optimizer.steps else []
        for uid in sorted(optimizer.past - held) if strangers else ():
            parameter, count = run.parameters[uid], tally(run, uid)
            recent = count.last_backward is not None and count.last_backward >= run.backwards - PASSES
            if not recent or not parameter.owners or not parameter.trainable or is_idle(run, parameter):
                continue
            lines = [run.parameters[s].registered for s in strangers if run.parameters[s].shape == parameter.shape]
            if lines and optimizer.steps - count.steps >= PASSES:
                groups.setdefault(lines[0], []).append(uid)
    for path, uids in groups.items():
        for model, mine in by_model(run, uids):
            yield finding(
                code,
                Severity.ERROR,
                run,
                model,
                mine,
                state="flowing",
                cause="stale_parameter",
                words=_WORDS,
                says="is updated no more",
                path=path,
                evidence=Evidence.OBSERVED,
            )


def _strangers(run: Run, optimizer: Optimizer) -> list[int]:
    """Tensors of no model that it was given while training ran, and that never got a gradient."""
    return [
        uid
        for uid in optimizer.parameters
        if not run.parameters[uid].owners and run.parameters[uid].late and not tally(run, uid).backwards
    ]
