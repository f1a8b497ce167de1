"""Places: which model and fqn each traced module is, read while the modules live.

A script's models may be gone when its report is made, so names are read after each traced backward at which a
module or a model is new. The name of a model may still change until the end: it is asked for last.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import nn

from gradscope.capture.distributed import named_modules
from gradscope.capture.parameters import Registry
from gradscope.capture.watched import WatchedModel


@dataclass(frozen=True, slots=True)
class Place:
    """A module inside a watched model."""

    watched: WatchedModel
    fqn: str
    class_name: str
    leaf: bool
    """It has no modules below it, so that a call of it is one thing."""


@dataclass(eq=False)
class Places:
    """The place of each traced module, by the number that capture gave it."""

    known: dict[int, Place] = field(default_factory=dict)
    _seen: tuple[int, int] = (0, 0)

    def read(self, modules: Sequence[weakref.ref[nn.Module]], registry: Registry) -> None:
        """Look for modules without a place in the models, if either are new."""
        now = (len(modules), len(registry.models))
        if now == self._seen:
            return
        self._seen = now
        wanted: dict[int, int] = {}
        for number, reference in enumerate(modules):
            module = reference()
            if module is not None and number not in self.known:
                wanted[id(module)] = number
        for watched in registry.models:
            root = watched.module() if watched.module is not None else None
            if not wanted:
                return
            for fqn, module in named_modules(root) if root is not None else ():
                found = wanted.pop(id(module), -1)
                if found >= 0:
                    leaf = next(module.children(), None) is None
                    self.known[found] = Place(watched, fqn, type(module).__name__, leaf)
