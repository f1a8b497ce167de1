"""What is known of one parameter while the program runs, and the fact it becomes."""

from __future__ import annotations

import weakref
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from gradscope.capture.source import EMPTY, Stack, resolve
from gradscope.records import Owner, Parameter


@dataclass(slots=True, eq=False)
class Entry:
    """What is known of one parameter while the program runs."""

    uid: int
    ref: weakref.ref[torch.Tensor]
    shape: tuple[int, ...]
    dtype: str
    device: str
    trainable: bool
    owners: tuple[Owner, ...] = ()
    former: tuple[Owner, ...] = ()
    module: str = ""
    loaded: bool = False
    frozen_at: Stack = EMPTY
    frozen_clock: int = 0
    frozen_by: Stack = EMPTY
    freezes: int = 0
    thaws: int = 0
    built: Stack = EMPTY
    registered: Stack = EMPTY
    rebound: bool = False
    thawed: bool = False
    held: bool = False
    """An optimizer holds it."""
    copy_of: int = -1
    replaces: int = -1
    """The uid that had this name before it, still held by an optimizer."""
    replaced: int = 0
    """How often a new tensor took this name."""
    late: bool = False
    """It came after the first backward pass."""
    evaluating: bool = False
    copied_at: Stack = EMPTY
    cast_at: Stack = EMPTY
    shared_at: Stack = EMPTY
    drifts: int = 0
    """How often it was seen changed although no optimizer holds it."""
    init_at: Stack = EMPTY
    """Where it was given its first values."""


NO_BUFFERS: Mapping[int, Owner] = MappingProxyType({})


def misset_in(root: nn.Module) -> list[torch.Tensor]:
    """What lies in modules whose `requires_grad` somebody set to True: an attribute like any other, of no effect."""
    meant = [module for module in root.modules() if vars(module).get("requires_grad") is True]
    return [tensor for module in meant for tensor in module.parameters()]


def record_of(entry: Entry, misset: Collection[int] = (), buffers: Mapping[int, Owner] = NO_BUFFERS) -> Parameter:
    """The fact. `misset`: ids of the tensors that somebody meant to require gradients; `buffers`: names by id."""
    tensor = entry.ref()
    buffer = buffers.get(id(tensor)) if not entry.owners else None
    return Parameter(
        uid=entry.uid,
        shape=shape_of(tensor) if tensor is not None else entry.shape,
        dtype=str(tensor.dtype).removeprefix("torch.") if tensor is not None else entry.dtype,
        device=str(tensor.device) if tensor is not None else entry.device,
        trainable=tensor.requires_grad if tensor is not None else entry.trainable,
        owners=entry.owners if buffer is None else (buffer,),
        former=entry.former,
        module=entry.module,
        built=resolve(entry.built),
        registered=resolve(entry.registered),
        rebound=entry.rebound,
        copy_of=entry.copy_of if entry.copy_of >= 0 else None,
        replaces=entry.replaces if entry.replaces >= 0 else None,
        replaced=entry.replaced,
        late=entry.late,
        loaded=entry.loaded,
        frozen_at=resolve(entry.frozen_at if entry.frozen_at.frames else entry.registered),
        frozen_line=str(resolve(entry.frozen_by)[-1]) if entry.frozen_by.frames else "",
        freezes=entry.freezes,
        thaws=entry.thaws,
        frozen_clock=entry.frozen_clock,
        thawed=entry.thawed,
        evaluating=entry.evaluating,
        copied_at=resolve(entry.copied_at),
        cast_at=resolve(entry.cast_at),
        shared_at=resolve(entry.shared_at),
        misset=id(tensor) in misset,
        drifts=entry.drifts,
        buffer=buffer is not None,
    )


def shape_of(tensor: torch.Tensor) -> tuple[int, ...]:
    """Its shape; of a lazy parameter, none."""
    return () if is_lazy(tensor) else tuple(tensor.shape)
