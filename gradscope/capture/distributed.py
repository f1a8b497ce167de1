"""torch.distributed: what it does to parameters and to their gradients, and how that is told as facts.

* DistributedDataParallel averages gradients after they arrived. What arrived is read at the end of the engine's pass,
  which is before DDP writes the average back (its callback is queued later than ours), so that the norms of a
  `Backward` are this rank's own and those of an `OptimizerStep` the averaged ones. With `gradient_as_bucket_view` the
  gradient is averaged in place while the pass goes on: those norms are taken in a hook of each parameter.
* Of a split parameter (capture/sharding.py) only the part that is here is looked at, nothing is gathered: a part that
  is all zero says nothing about the whole, and its norm is "received, not measured". The whole norm is known once the
  ranks' facts are put together.
* Nothing here communicates.
"""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from gradscope.capture.norms import fused, unseen
from gradscope.capture.sharding import is_sharded, parts, sharded, standing_in
from gradscope.capture.source import Stack, resolve, snapshot
from gradscope.capture.unfollowed import unfollowed
from gradscope.records import Averaged, Backward

if TYPE_CHECKING:
    from gradscope.capture.ledger import Ledger

_WRAPPERS = {"DistributedDataParallel": "module", "DataParallel": "module", "OptimizedModule": "_orig_mod"}
"""torch's classes that hold the user's module in an attribute, which the user's names do not have."""


def world() -> tuple[int, int]:
    """This process's rank and how many there are; (0, 1) outside a process group."""
    group = torch.distributed
    if not group.is_available() or not group.is_initialized():
        return 0, 1
    return group.get_rank(), group.get_world_size()


def unwrapped(model: Any) -> Any:
    """The user's own module inside what torch.compile and the wrappers for several devices put around it."""
    while (attribute := _inner(model)) and isinstance(inside := getattr(model, attribute, None), nn.Module):
        model = inside
    return model


def _inner(model: Any) -> str | None:
    kind = type(model)
    return _WRAPPERS.get(kind.__name__) if kind.__module__.startswith("torch.") else None


def named_modules(root: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """`root.named_modules()` by the user's names: without those that wrappers inside it add."""
    added: list[tuple[str, str]] = []
    for name, module in root.named_modules():
        for long, short in added:
            if name == long or name.startswith(f"{long}."):
                name = short + name[len(long) :]  # noqa: PLW2901 - the outermost wrapper is first
        yield name, module
        attribute = _inner(module)
        if attribute is not None:
            added.append((f"{name}.{attribute}" if name else attribute, name))


def named_parameters(root: nn.Module) -> list[tuple[str, torch.Tensor]]:
    """`root.named_parameters(remove_duplicate=False)` by the user's names."""
    inside = list(root.modules())
    if not any(_inner(module) for module in inside):
        named: list[tuple[str, torch.Tensor]] = list(root.named_parameters(remove_duplicate=False))
    else:
        named = [
            (f"{prefix}.{name}" if prefix else name, tensor)
            for prefix, module in named_modules(root)
            for name, tensor in module.named_parameters(recurse=False, remove_duplicate=False)
        ]
    originals = {id(unsharded): param for module in inside for unsharded, param in standing_in(module)}
    return [(name, originals.get(id(tensor), tensor)) for name, tensor in named] if originals else named


_NOTHING: Mapping[int, float | None] = MappingProxyType({})


class Ranks:
    """What one watcher knows of the processes beside this one."""

    def __init__(self, ledger: Ledger) -> None:
        self.registry, self.gradients, self.log = ledger.registry, ledger.gradients, ledger.log
        self.registry.original = self.original
        self.averages = False
        """There is a DistributedDataParallel."""
        self.zeros: dict[int, int] = {}
        """Per sharded parameter: passes that left its part here all zero."""
        self.wanted = True
        """The norms of the next pass are to be measured."""
        self._looked = False
        self._world = (0, 1)
        self._sharded: list[weakref.ref[nn.Module]] = []
        self._originals: dict[int, tuple[weakref.ref[torch.Tensor], weakref.ref[torch.Tensor]]] = {}
        self._own: dict[int, torch.Tensor] = {}
        """Per id of a parameter whose gradient is averaged in place: the norm it had before."""
        self._handles: list[Any] = []
        self._wrappers: dict[int, weakref.ref[nn.Module]] = {}
        """Each DistributedDataParallel by its id."""
        self._missed: dict[int, tuple[weakref.ref[nn.Module], str, Stack]] = {}
        """Modules that last ran so that nothing averages them, how, and where."""

    @property
    def active(self) -> bool:
        """Whether there are other processes."""
        return self.world()[1] > 1

    def world(self) -> tuple[int, int]:
        """This process's rank and how many there are, also after the process group was destroyed."""
        now = world()
        self._world = now if now[1] > 1 else self._world
        return self._world

    # --- wrappers --------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Find the wrappers that were there before the first look; those made later tell themselves."""
        if self._looked or not self.active:
            return
        self._looked = True
        for module in [m for m in gc.get_objects() if type(m) is DistributedDataParallel]:
            self.wrapped(module, module.module)

    def wrapped(self, module: nn.Module, child: nn.Module | None) -> None:
        """A module was put into another: if that one is DDP, its parameters may be averaged in place."""
        if type(module) is not DistributedDataParallel or child is None:
            return
        self.averages = True
        self._wrappers[id(module)] = weakref.ref(module)
        hook = _early(self, weakref.ref(module))
        for tensor in child.parameters():
            if tensor.requires_grad and tensor.is_leaf:
                handle = tensor.register_post_accumulate_grad_hook(hook)  # type: ignore[no-untyped-call]
                self._handles.append(handle)

    def entered(self, module: nn.Module) -> None:
        """A module runs for the first time while tracing."""
        if is_sharded(module):
            self._sharded.append(weakref.ref(module))

    def outermost(self, module: nn.Module) -> None:
        """A module runs inside no other, in a traced step: is it called past its wrapper, or in no_sync()."""
        if not self._wrappers or not torch.is_grad_enabled():
            return
        wrapper, missed = self._wrappers.get(id(module)), "past"
        if wrapper is not None and wrapper() is module:
            self._missed.pop(id(module), None)
            self._missed.pop(id(module.module), None)
            if module.require_backward_grad_sync:
                return
            missed = "no_sync"
        elif not any(module is m for ref in self._wrappers.values() if (w := ref()) is not None for m in w.modules()):
            return
        self._missed.setdefault(id(module), (weakref.ref(module), missed, snapshot(sys._getframe(2))))

    def averaged(self) -> dict[int, Averaged]:
        """What is known of each parameter that a DistributedDataParallel holds."""
        found: dict[int, Averaged] = {}
        for ref in self._wrappers.values():
            for tensor in wrapper.parameters() if (wrapper := ref()) is not None else ():
                found[self.registry.uid(tensor)] = Averaged()
        for module, missed, stack in self._missed.values():
            for tensor in inside.parameters() if (inside := module()) is not None else ():
                found[self.registry.uid(tensor)] = Averaged(missed, resolve(stack))
        found.pop(-1, None)
        return found

    def close(self) -> None:
        """Remove what was hooked."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._own.clear()

    def unfollowed(self) -> list[str]:
        """What of this job is not followed."""
        return unfollowed(entry.ref() for entry in self.registry.entries.values()) if self.active else []

    # --- norms -----------------------------------------------------------------------------------------------

    def own(self, uids: Sequence[int], grads: list[torch.Tensor]) -> list[torch.Tensor]:
        """Gradients of this rank: what was averaged in place meanwhile is represented by the norm it had before."""
        if not self._own or len(uids) != len(grads):
            return grads
        taken = dict(self._own)
        self._own.clear()
        kept = [taken.get(id(self.registry.tensor(uid))) for uid in uids]
        return [grad if norm is None else norm for grad, norm in zip(grads, kept, strict=True)]

    def judged(
        self,
        uids: Sequence[int],
        norms: Sequence[float | None],
        *,
        count: bool = False,
        before: Mapping[int, float | None] = _NOTHING,
    ) -> Sequence[float | None]:
        """The norms without the zeros of parameters of which only a part is here; `count` remembers those.

        A part that was not zero `before` is told: somebody has made it so.
        """
        if 0.0 not in norms:
            return norms
        answer = list(norms)
        for place, (uid, norm) in enumerate(zip(uids, norms, strict=True)):
            if norm == 0.0 and self.parts(uid) != 1 and not before.get(uid):
                answer[place] = None
                if count:
                    self.zeros[uid] = self.zeros.get(uid, 0) + 1
        return answer

    def put_together(self) -> set[int]:
        """Parameters whose gradients FSDP2 puts together."""
        models = [m for model in self.registry.models if model.module is not None and (m := model.module()) is not None]
        found = {self.registry.uid(p) for model in models for module in model.modules() for p in sharded(module)}
        return found - {-1}

    def parts(self, uid: int) -> int:
        """Into how many parts a parameter is split."""
        tensor = self.registry.tensor(uid)
        return 1 if tensor is None else parts(tensor)

    def average_written(self) -> None:
        """The averages of the ranks were written into the gradients that arrived; nobody else wrote to them."""
        event = self.log.last()
        if isinstance(event, Backward):
            self.gradients.accept(list(event.norms))

    # --- stand-ins -------------------------------------------------------------------------------------------

    def original(self, tensor: torch.Tensor) -> torch.Tensor:
        """The parameter for which a tensor stands in; most stand for themselves."""
        known = self._originals.get(id(tensor))
        if known is not None and known[0]() is tensor:
            found = known[1]()
            return tensor if found is None else found
        for ref in self._sharded:
            module = ref()
            for unsharded, param in standing_in(module) if module is not None else ():
                self._originals[id(unsharded)] = (weakref.ref(unsharded), weakref.ref(param))
        known = self._originals.get(id(tensor))
        found = known[1]() if known is not None and known[0]() is tensor else None
        return tensor if found is None else found


def _early(ranks: Ranks, wrapper: weakref.ref[nn.Module]) -> Callable[[torch.Tensor], None]:
    """Takes the norm of a gradient that DDP is about to average where it is."""
    mine = weakref.ref(ranks)
    seen: set[int] = set()

    def hook(parameter: torch.Tensor) -> None:
        module, book = wrapper(), mine()
        if module is None or book is None or not book.wanted or parameter.grad is None:
            return
        first = id(parameter) not in seen
        seen.add(id(parameter))
        # The first pass of a static graph is averaged as a whole, before our callback runs.
        if getattr(module, "gradient_as_bucket_view", False) or (first and getattr(module, "static_graph", False)):
            with unseen():
                book._own[id(parameter)] = fused([parameter.grad])[0]

    return hook
