"""Who is who: parameters by uid, models by name, and both again after they were moved, replaced or re-made."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from gradscope.capture.distributed import named_modules, unwrapped
from gradscope.capture.entries import Entry, misset_in, record_of, shape_of
from gradscope.capture.given import Tensors, tensors_of
from gradscope.capture.sharding import class_name
from gradscope.capture.source import Stack, file_of, is_third_party, resolve
from gradscope.capture.watched import WatchedModel, models_of
from gradscope.errors import NameClashError, NotTrainableError
from gradscope.records import Model, Owner, Parameter, Path


@dataclass(eq=False)
class Registry:
    """Parameters and models of one scope; holds weak references only."""

    models: list[WatchedModel] = field(default_factory=list)
    entries: dict[int, Entry] = field(default_factory=dict)
    dirty: bool = True
    """A module was given a parameter since the names were last read."""
    built: dict[int, tuple[weakref.ref[nn.Module], Stack]] = field(default_factory=dict)
    """Per module id: where it was put into its parent."""
    shared: dict[int, tuple[weakref.ref[nn.Module], Stack]] = field(default_factory=dict)
    """Where a module that was all trainable was put into a second parent."""
    freezes: int = 0
    """How often `requires_grad` of a parameter was set to False, where seen."""
    training: bool = False
    """A backward pass has run."""
    module_ids: set[int] = field(default_factory=set)
    """Ids of the modules inside the models: what is registered elsewhere concerns nobody."""
    original: Callable[[torch.Tensor], torch.Tensor] | None = None
    """Tells the parameter for which another one stands in."""
    on_add: Callable[[torch.Tensor, int], None] | None = None
    """Told of each tensor that becomes a parameter here: it may have been read before, as any other."""
    _lines: dict[int, tuple[weakref.ref[torch.Tensor], Stack, bool]] = field(default_factory=dict)
    _ids: dict[int, tuple[weakref.ref[torch.Tensor], int]] = field(default_factory=dict)
    _places: dict[tuple[str, str], int] = field(default_factory=dict)
    _instances: dict[tuple[str, str], int] = field(default_factory=dict)
    """Of which instance of its model the tensor at a place is."""

    def uid(self, tensor: torch.Tensor) -> int:
        """The uid of a tensor, or -1 for a stranger."""
        entry = self._ids.get(id(tensor))
        if entry is not None and entry[0]() is tensor:
            return entry[1]
        if self.original is None or type(tensor) is not nn.Parameter:
            return -1
        other = self.original(tensor)
        return -1 if other is tensor else self.uid(other)

    def tensor(self, uid: int) -> torch.Tensor | None:
        return self.entries[uid].ref()

    def name_of(self, uid: int) -> str:
        """`model.fqn` of its first owner."""
        return record_of(self.entries[uid]).name

    def add(self, tensor: torch.Tensor) -> int:
        """Register a tensor (again) and return its uid."""
        known = self.uid(tensor)
        if known >= 0:
            return known
        if self.original is not None:
            tensor = self.original(tensor)
        uid = len(self.entries)
        self.entries[uid] = Entry(
            uid,
            weakref.ref(tensor),
            shape_of(tensor),
            str(tensor.dtype).removeprefix("torch."),
            str(tensor.device),
            tensor.requires_grad,
            late=self.training,
        )
        self._ids[id(tensor)] = (weakref.ref(tensor), uid)
        self.dirty = True
        if self.on_add is not None:
            self.on_add(tensor, uid)
        return uid

    def line_of(self, uid: int) -> Stack | None:
        """Where a parameter was given to its module, if that was seen."""
        tensor = self.entries[uid].ref()
        line = self._lines.get(id(tensor))
        return line[1] if line is not None and line[0]() is tensor else None

    def registered(self, tensor: torch.Tensor, module: nn.Module, stack: Stack) -> None:
        """A parameter was given to a module on this line."""
        built = self.built.get(id(module))
        self._lines[id(tensor)] = (weakref.ref(tensor), stack, built is not None and built[0]() is module)

    def rebind(self, tensor: torch.Tensor, uid: int) -> None:
        """Another tensor took the place of a parameter that no optimizer holds: it goes on under its uid."""
        entry = self.entries[uid]
        entry.ref = weakref.ref(tensor)
        entry.trainable = entry.trainable or tensor.requires_grad
        self._ids[id(tensor)] = (entry.ref, uid)

    def hold(self, tensor: torch.Tensor) -> int:
        """An optimizer holds this tensor; returns its uid, a new one if its own went on with another tensor.

        An optimizer may be seen only when it first steps, long after its tensor was replaced.
        """
        known = self._ids.get(id(tensor))
        heir = self.entries[known[1]] if known is not None and known[0]() is tensor else None
        if heir is not None and heir.ref() is not tensor:
            del self._ids[id(tensor)]
        uid = self.add(tensor)
        entry = self.entries[uid]
        if heir is not None and heir is not entry:
            entry.late = False
            heir.replaces = uid
        entry.held = True
        entry.thawed = entry.thawed or tensor.requires_grad
        return uid

    def add_model(self, name: str, model: nn.Module | Tensors, *, idle: bool = False) -> WatchedModel:
        """Register a model under a name.

        Raises NameClashError for a name or a model that is registered already, NotTrainableError for one
        without parameters.
        """
        model = unwrapped(model)
        for other in self.models:
            if other.name == name:
                raise NameClashError(f"two models are named {name!r}: give each its own name")
            if isinstance(model, nn.Module) and other.module is not None and other.module() is model:
                raise NameClashError(f"{name!r} is the model already watched as {other.name!r}: watch it once")
        if isinstance(model, nn.Module):
            theirs = is_third_party(file_of(type(model)))
            watched = WatchedModel(name, class_name(model), weakref.ref(model), (), idle, theirs)
        else:
            tensors = tensors_of(name, model)
            refs = tuple((fqn, weakref.ref(t)) for fqn, t in tensors)
            watched = WatchedModel(name, "parameters", None, refs, expected_idle=idle)
        if not watched.named_tensors():
            raise NotTrainableError(
                f"{name!r} ({watched.class_name}) has no parameters, so nothing can be watched in it"
            )
        self.models.append(watched)
        self.refresh()
        return watched

    def succeeds(self, name: str, model: nn.Module | Tensors) -> bool:
        """Let a model take over the name of one that is gone: built anew in each turn of a loop."""
        for watched in self.models:
            if watched.name != name or watched.named_tensors():
                continue
            model = unwrapped(model)
            if isinstance(model, nn.Module):
                watched.module, watched.tensors = weakref.ref(model), ()
            else:
                watched.module = None
                watched.tensors = tuple((fqn, weakref.ref(tensor)) for fqn, tensor in tensors_of(name, model))
            watched.instance += 1
            self.dirty = True
            return True
        return False

    def refresh(self) -> list[int]:
        """Read all names again; returns uids seen for the first time."""
        fresh: list[int] = []
        owners: dict[int, list[Owner]] = {}
        for model in self.models:
            uids: dict[int, None] = {}
            for fqn, tensor in model.named_tensors():
                uid = self.uid(tensor)
                if uid < 0:
                    uid = self._place(model.name, fqn, tensor)
                    fresh.append(uid)
                self._took_place(model, fqn, uid)
                uids[uid] = None
                owners.setdefault(uid, []).append(Owner(model.name, fqn))
                model.lazy = model.lazy or is_lazy(tensor)
            if uids:
                model.uids = tuple(uids)
        for uid, names in owners.items():
            self.entries[uid].owners = tuple(names)
        self._read_modules()
        self.dirty = False
        return fresh

    def _took_place(self, model: WatchedModel, fqn: str, uid: int) -> None:
        """A tensor has this name now; whoever had it before has it no more, unless an optimizer holds it."""
        place = model.name, fqn
        before, instance = self._places.get(place, uid), self._instances.get(place, model.instance)
        self._places[place], self._instances[place] = uid, model.instance
        if before != uid:
            old, new = self.entries[before], self.entries[uid]
            new.replaced = old.replaced + 1
            new.replaces = before if old.held else old.replaces
            if not old.held:
                old.former, old.owners = old.owners if instance != model.instance else (), ()

    def _place(self, model: str, fqn: str, tensor: torch.Tensor) -> int:
        before = self._places.get((model, fqn), -1)
        if before >= 0 and not self.entries[before].held:
            self.rebind(tensor, before)
            self.entries[before].replaced += 1
            return before
        return self.add(tensor)

    def _read_modules(self) -> None:
        self.module_ids.clear()
        for model in self.models:
            root = model.module() if model.module is not None else None
            if root is None:
                continue
            for prefix, module in named_modules(root):
                self.module_ids.add(id(module))
                built = self.built.get(id(module))
                if built is not None and built[0]() is module:
                    model.built[prefix] = built[1]
                shared = self.shared.get(id(module))
                if shared is not None and shared[0]() is module:
                    for entry in (self.entries[u] for u in map(self.uid, module.parameters()) if u >= 0):
                        entry.shared_at = shared[1]
                for tensor in module.parameters(recurse=False):
                    uid = self.uid(tensor)
                    if uid >= 0:
                        entry = self.entries[uid]
                        entry.module = type(module).__name__
                        entry.evaluating = not module.training
                        line = self._lines.get(id(tensor))
                        if line is not None and line[0]() is tensor:
                            entry.registered, entry.rebound = line[1:]
                        if built is not None and built[0]() is module:
                            entry.built = built[1]

    def built_lines(self, uids: frozenset[int]) -> dict[str, Path]:
        """Per `model.prefix` of the modules that hold these parameters: where each was put into its parent."""
        lines: dict[str, Path] = {}
        for model in self.models:
            names = [o.fqn for u in uids & set(model.uids) for o in self.entries[u].owners if o.model == model.name]
            for prefix, stack in model.built.items():
                if any(not prefix or name.startswith(f"{prefix}.") for name in names):
                    lines[f"{model.name}.{prefix}" if prefix else model.name] = resolve(stack)
        return lines

    def scripted(self) -> frozenset[int]:
        """Parameters of TorchScript modules, in which no operation is seen."""
        roots = [root for model in self.models if model.module is not None and (root := model.module()) is not None]
        modules = [m for root in roots for m in root.modules() if isinstance(m, torch.jit.ScriptModule)]
        return frozenset(uid for module in modules for p in module.parameters() if (uid := self.uid(p)) >= 0)

    def current(self) -> set[int]:
        """Parameters that a watched model holds now."""
        return {uid for model in self.models for uid in model.uids}

    def records(self) -> tuple[tuple[Model, ...], dict[int, Parameter]]:
        """The facts about models and parameters."""
        if self.dirty:
            self.refresh()
            self.dirty = True  # what has come is named, and still has to be hooked
        models = models_of(self.models)
        roots = [model.module() for model in self.models if model.module is not None]
        misset = {id(tensor) for root in roots if root is not None for tensor in misset_in(root)}
        loose = any(not e.owners and (t := e.ref()) is not None and not t.requires_grad for e in self.entries.values())
        buffers = self._buffers() if loose else {}
        return models, {uid: record_of(entry, misset, buffers) for uid, entry in self.entries.items()}

    def _buffers(self) -> dict[int, Owner]:
        """The names of all buffers, by id of the tensor."""
        modules = [(model.name, module) for model in self.models if model.module and (module := model.module())]
        return {id(tensor): Owner(name, fqn) for name, module in modules for fqn, tensor in module.named_buffers()}
