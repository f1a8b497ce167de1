"""Discovery: find the models of a script nobody edited, and the names its author gave them.

Modules, optimizers and schedulers are looked for in the variables of the user's running frames: globals,
locals, attributes of the user's objects, items of lists and dicts. A module counts as a model when it
holds a parameter that an optimizer holds or a backward pass reached.
"""

from __future__ import annotations

import argparse
import inspect
import types
from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.fx
from torch import nn

from gradscope.capture.distributed import unwrapped
from gradscope.capture.parameters import Registry
from gradscope.capture.source import is_library, user_files
from gradscope.capture.statements import loop_variables, scope_of, tree_of
from gradscope.capture.variables import variables_of
from gradscope.errors import GradscopeError

_DEPTH = 4
_ITEMS = 64


@dataclass
class Names:
    """What was found in the variables of some frames: names per object id, and the objects in order."""

    modules: dict[int, tuple[str, nn.Module]] = field(default_factory=dict)
    tensors: dict[int, tuple[str, torch.Tensor]] = field(default_factory=dict)
    optimizers: dict[int, tuple[str, Any]] = field(default_factory=dict)
    schedulers: dict[int, tuple[str, Any]] = field(default_factory=dict)
    _seen: set[int] = field(default_factory=set)

    def read_frames(self, frame: types.FrameType | None) -> None:
        """Read the variables of a frame and of all that called it, the outermost first."""
        frames = []
        while frame is not None:
            if not is_library(frame.f_code.co_filename):
                frames.append(frame)
            frame = frame.f_back
        scopes: dict[int, None] = {}
        for frame in reversed(frames):
            if id(frame.f_globals) not in scopes:
                scopes[id(frame.f_globals)] = None
                self.read(frame.f_globals, frame)
            if frame.f_code.co_flags & inspect.CO_OPTIMIZED:
                self.read(variables_of(frame), frame)

    def read(self, variables: dict[str, Any], frame: types.FrameType | None = None) -> None:
        """Read one namespace."""
        code = frame.f_code if frame is not None else None
        # aliases of something that has a better name
        loops = loop_variables(scope_of(code.co_filename, code)) if code is not None else frozenset()
        later = []
        for name, value in list(variables.items()):
            if name.startswith("__"):
                continue
            if name in loops or name == "self":
                later.append((name, value))
            else:
                self._visit(name, value, _DEPTH)
        for name, value in later:
            if name == "self" or not isinstance(value, (nn.Module, torch.Tensor)):
                self._visit(name, value, _DEPTH)

    def _visit(self, name: str, value: Any, depth: int) -> None:
        if isinstance(value, (str, int, float, bool, type(None), type, types.ModuleType, types.FunctionType)):
            return
        key = id(value)
        if key in self._seen:
            return
        self._seen.add(key)
        if isinstance(value, nn.Module):
            self.modules[key] = (name, value)
            self._plain_attributes(name, value, depth)
        elif isinstance(value, torch.Tensor):
            if value.is_leaf:
                self.tensors[key] = (name, value)
        elif isinstance(value, torch.optim.Optimizer):
            self.optimizers[key] = (name, value)
        elif isinstance(value, torch.optim.lr_scheduler.LRScheduler):
            self.schedulers[key] = (name, value)
        elif depth > 0:
            for child, item in _children(value):
                self._visit(f"{name}{child}", item, depth - 1)

    def _plain_attributes(self, name: str, module: nn.Module, depth: int) -> None:
        """Optimizers and lists of modules kept as plain attributes of a module or of one inside it."""
        if depth <= 0:
            return
        for prefix, part in module.named_modules(prefix=name):
            if part is not module and id(part) in self._seen:
                continue
            if not type(part).__module__.startswith("torch."):
                for attribute, item in list(vars(part).items()):
                    if not attribute.startswith("_") and not isinstance(item, nn.Module):
                        self._visit(f"{prefix}.{attribute}", item, depth - 1)


def _children(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, item in list(value.items())[:_ITEMS]:
            if isinstance(key, (str, int)):
                yield f"[{key!r}]", item
    elif isinstance(value, (list, tuple)):
        fields = getattr(value, "_fields", None)
        for index, item in enumerate(value[:_ITEMS]):
            yield (f".{fields[index]}" if fields else f"[{index}]"), item
    elif _is_users(value):
        for name, item in list(getattr(value, "__dict__", {}).items()):
            yield f".{name}", item


def _is_users(value: Any) -> bool:
    kind = type(value)
    if kind in (types.SimpleNamespace, argparse.Namespace):
        return True
    import sys

    module = sys.modules.get(kind.__module__)
    file = getattr(module, "__file__", None)
    if kind.__module__ in ("builtins", "collections", "threading", "logging"):
        return False
    return kind.__module__ == "__main__" or (isinstance(file, str) and not is_library(file)) or _is_trainer(kind)


def _is_trainer(kind: type) -> bool:
    return kind.__name__ in ("Trainer", "Accelerator", "Seq2SeqTrainer") and hasattr(kind, "__init__")


def name_models(registry: Registry, names: Names, reached: Container[int]) -> None:
    """Register the found modules that hold a known parameter, and known tensors without a module.

    A tensor that is only an item of some list, or the variable of a loop, counts if a gradient has reached it: it may
    be of a model that was replaced, or sharded.
    """
    inside = _inside_others(names)
    loops = frozenset().union(*(loop_variables(tree_of(file)) for file in user_files()))
    known = {id(unwrapped(module)) for _, module in names.modules.values()}
    inner = {key: unwrapped(module) for key, (_, module) in names.modules.items()}
    for key, (name, module) in names.modules.items():
        if inner[key] is not module and id(inner[key]) in names.modules:
            continue  # the module inside DDP or torch.compile has a name of its own
        module = inner[key]  # noqa: PLW2901 - what is meant by the name
        held = [watched for model in registry.models if model.module is not None and (watched := model.module())]
        if any(other is module or _is_copy_of(module, other) for other in held):
            continue
        if type(module) is nn.ModuleList and len(module) and all(id(child) in known for child in module):
            continue  # it only gathers what has names of its own
        own = inside.get(id(module))
        if own is not None and own.isdigit() and name.endswith("]"):
            continue  # `layers[0]` for what `nn.Sequential(*layers)` calls `0`
        if own is not None and name in loops:
            continue  # what `for layer in net.layers` left over
        if own is not None and name.rpartition(".")[1] and name.rpartition(".")[2] != own:
            continue  # `tap.layer` for what its own model calls `attention`
        if any(registry.uid(p) >= 0 for p in module.parameters()):
            _add(registry, name, module)
    registry.refresh()
    for name, tensor in names.tensors.values():
        uid = registry.uid(tensor)
        left_over = "[" in name or name in loops
        if uid >= 0 and not registry.entries[uid].owners and (not left_over or uid in reached):
            _add(registry, name, [("", tensor)])
    registry.refresh()


def _inside_others(names: Names) -> dict[int, str]:
    """Per module that is part of another one that was found: what it is called there."""
    inside: dict[int, str] = {}
    for _, module in names.modules.values():
        root = unwrapped(module)
        for fqn, child in root.named_modules():
            if fqn and not (type(root) is nn.ModuleList and "." not in fqn):  # there it has a number, and no name
                inside.setdefault(id(child), fqn.rpartition(".")[2])
    return inside


def _is_copy_of(module: nn.Module, other: nn.Module) -> bool:
    """Whether a module is what torch.fx or torch.jit made of another: the same parameters in other clothes."""
    made = isinstance(module, (torch.fx.GraphModule, torch.jit.ScriptModule))
    return made and set(map(id, module.parameters())) == set(map(id, other.parameters()))


def name_orphans(registry: Registry) -> None:
    """Parameters no variable leads to: find the module that holds them, and call it by its class.

    What no module holds either stays without a name: an optimizer holds tensors nobody uses.
    """
    orphans = [e for e in registry.entries.values() if not e.owners and e.ref() is not None]
    if not orphans:
        return
    import gc

    wanted = {id(e.ref()) for e in orphans}
    holders = [
        obj
        for obj in gc.get_objects()
        if issubclass(type(obj), nn.Module) and any(id(p) in wanted for p in obj.parameters())
    ]
    inner = {id(child) for holder in holders for child in holder.modules() if child is not holder}
    for holder in holders:
        if id(holder) not in inner:
            _add(registry, type(holder).__name__.lower(), holder)


def _add(registry: Registry, name: str, model: Any) -> None:
    taken = {m.name for m in registry.models}
    if name in taken and registry.succeeds(name, model):
        return
    unique, number = name, 2
    while unique in taken:
        unique, number = f"{name}#{number}", number + 1
    try:
        registry.add_model(unique, model)
    except GradscopeError:
        return
