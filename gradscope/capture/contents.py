"""What models held when their names were last read: to see that nothing changed takes a tenth of reading all again."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import Any

from torch import nn

from gradscope.capture.distributed import named_modules
from gradscope.capture.watched import WatchedModel


class Contents:
    """Modules, each with its parameters, its modules, and whether it was training; weak references only."""

    def __init__(self, models: Iterable[WatchedModel] = ()) -> None:
        self._tensors = [ref for model in models for _, ref in model.tensors]
        roots = [root for model in models if model.module is not None and (root := model.module()) is not None]
        self._modules = [
            (weakref.ref(module), module.training, [weakref.ref(part) for part in _parts(module)])
            for root in roots
            for _, module in named_modules(root)
        ]

    def still(self) -> bool:
        """Whether all of them are as they were; not if there are none."""
        return (
            bool(self._modules or self._tensors)
            and all(ref() is not None for ref in self._tensors)
            and all(_is_as(ref(), training, held) for ref, training, held in self._modules)
        )


def _is_as(module: nn.Module | None, training: bool, held: list[weakref.ref[Any]]) -> bool:
    if module is None or module.training is not training:
        return False
    parts = _parts(module)
    return len(parts) == len(held) and all(was() is part for was, part in zip(held, parts, strict=True))


def _parts(module: nn.Module) -> list[Any]:
    return [part for part in (*module._parameters.values(), *module._modules.values()) if part is not None]
