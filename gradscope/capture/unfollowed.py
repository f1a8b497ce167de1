"""What of a job of many processes is not followed, and how that is said."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterable

PIPELINE = (
    "a pipeline (torch.distributed.pipelining): each rank tells of its own stage, and no gradient is followed from one"
    " stage to the next"
)
_PACKAGES = {
    ("torch.distributed.pipelining", "_PipelineStageBase"): PIPELINE,
    ("deepspeed", "DeepSpeedEngine"): (
        "DeepSpeed is not supported: parameters that it flattens or splits are told under the names it gives"
    ),
    ("horovod", "_DistributedOptimizer"): (
        "Horovod is not supported: gradients of this rank and averaged ones are not told apart"
    ),
}
"""By package and class of which there is an object."""
_FLATTENED = (
    "FullyShardedDataParallel (FSDP1) is not supported: its flattened parameters are told under the names it gives;"
    " fully_shard (FSDP2) keeps yours"
)


def unfollowed(parameters: Iterable[object]) -> list[str]:
    """What is not followed of a job that trains these."""
    said = [_FLATTENED] if any(hasattr(parameter, "_is_flat_param") for parameter in parameters) else []
    if not any(package in sys.modules for package, _ in _PACKAGES):
        return said
    kinds: set[type] = set()
    kinds.update(*(kind.__mro__ for kind in set(map(type, gc.get_objects()))))
    there = {(package, kind.__name__) for kind in kinds for package, _ in _PACKAGES if _is_of(kind, package)}
    return [words for kind, words in _PACKAGES.items() if kind in there] + said


def _is_of(kind: type, package: str) -> bool:
    return isinstance(kind.__module__, str) and f"{kind.__module__}.".startswith(f"{package}.")
