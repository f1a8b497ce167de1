"""Words for how gradients were switched off, where that says more than the cause: what to change differs with it."""

from __future__ import annotations

from collections.abc import Collection

from gradscope.diagnosis.causes import CAUSES, Cause
from gradscope.records import DECORATED, WRAPPER, YIELDED, Cut

_STAYS_OFF = Cause(
    "gradients are still off when it computes, after they were switched off",
    "switch them on again after what is meant, or write `with torch.no_grad():` around it",
)
_YIELDED = Cause(
    "gradients are still off when it computes, as a generator hands on its values out of a block without gradients",
    "in the generator, end the block before the yield",
)
_FIXES = {
    DECORATED: "take away the decorator, or keep it on a function of its own that only evaluation calls",
    WRAPPER: "do not wrap the function, or call the one inside while training",
}


_OF_OUTPUT = {
    "no_grad": Cause(
        "gradients are switched off where its output is used", "use its output outside of the no_grad block"
    ),
    "inference_mode": Cause(
        "its output is used in inference mode, whose results can never get a gradient",
        "use its output outside of inference_mode",
    ),
}


def off_words(cut: Cut, uids: Collection[int] = ()) -> Cause | None:
    """What to say of a cut made by switching gradients off; None where the words of the cause are enough.

    `uids`: the parameters of whom it is said. It may be that what they made was used there, and not they.
    """
    if uids and cut.cause in _OF_OUTPUT and cut.direct.isdisjoint(uids):
        return _OF_OUTPUT[cut.cause]
    text = cut.path[-1].text if cut.path else ""
    if cut.how == YIELDED:
        return _YIELDED
    if cut.how in _FIXES and cut.cause in CAUSES:
        return CAUSES[cut.cause]._replace(fix=_FIXES[cut.how])
    bare = "set_grad_enabled(" in text and not text.startswith(("with ", "@", "async "))
    return _STAYS_OFF if cut.cause == "no_grad" and bare else None
