"""What a backward left in `.grad` and nobody has used yet, for the drawing of a live loss."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from gradscope.capture.capture import Capture
from gradscope.capture.norms import norms
from gradscope.records import Backward


def held_norms(capture: Capture, leaves: Sequence[torch.Tensor]) -> dict[int, float]:
    """By id the norms of the gradients of `leaves`, if the last thing seen was a backward that reached just these.

    Before a backward, and after a step, `.grad` is of something else: then nothing is known.
    """
    uids = {capture.registry.uid(leaf) for leaf in leaves} - {-1}
    if not capture.is_open or not uids:
        return {}
    for event in reversed(capture.watcher.log.events()):
        if not isinstance(event, Backward):
            return {}
        if set(event.norms) == uids:
            break
    else:
        return {}
    grads = {id(leaf): leaf.grad for leaf in leaves if leaf.grad is not None and capture.registry.uid(leaf) in uids}
    return dict(zip(grads, norms(list(grads.values())), strict=True))
