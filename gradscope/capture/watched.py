"""The models that are watched, and the facts they become."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from torch import nn

from gradscope.capture.distributed import named_parameters
from gradscope.capture.source import Stack
from gradscope.records import Model


@dataclass(slots=True, eq=False)
class WatchedModel:
    """A name of the user's and the module, or the tensors, behind it."""

    name: str
    class_name: str
    module: weakref.ref[nn.Module] | None
    tensors: tuple[tuple[str, weakref.ref[torch.Tensor]], ...] = ()
    expected_idle: bool = False
    third_party: bool = False
    """A package other than torch wrote its class."""
    uids: tuple[int, ...] = ()
    lazy: bool = False
    """Some of its parameters have no shape yet."""
    instance: int = 0
    """How many others had its name before."""
    built: dict[str, Stack] = field(default_factory=dict)
    """Per prefix of a module in it: where that module was put into its parent."""

    def named_tensors(self) -> list[tuple[str, torch.Tensor]]:
        module = self.module() if self.module is not None else None
        if module is not None:
            return named_parameters(module)
        return [(name, tensor) for name, ref in self.tensors if (tensor := ref()) is not None]


def models_of(watched: Iterable[WatchedModel]) -> tuple[Model, ...]:
    """The facts about models. What `copy.copy()` makes of a module has the very dicts that hold the other's layers."""
    first: dict[int, str] = {}
    found = []
    for model in watched:
        module = model.module() if model.module is not None else None
        holds = module is not None and (module._modules or module._parameters)
        other = first.setdefault(id(holds), model.name) if holds else model.name
        shallow_of = other if other != model.name else ""
        found.append(
            Model(model.name, model.class_name, model.uids, model.expected_idle, model.third_party, shallow_of)
        )
    return tuple(found)
