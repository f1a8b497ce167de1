"""Values: which tensor is which version of what, also where autograd and memory tell more than the calls seen.

A tensor may come from elsewhere (data, a custom function, numpy), be wrapped anew, share its memory with a
parameter, or be written to behind autograd's back. Each such way becomes a link on the tape.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from gradscope.capture import operations
from gradscope.capture.numbers import Numbers
from gradscope.capture.operations import Kind
from gradscope.capture.parameters import Registry
from gradscope.capture.projections import projects
from gradscope.capture.source import EMPTY, Stack
from gradscope.capture.statements import call_in
from gradscope.capture.tape import Op, Tape, Value
from gradscope.capture.tensors import grad_fn, made_by_autograd, pointer, size, storage_pointer
from gradscope.records import LOAD, WRAPPED

Links = tuple[tuple[int, bool], ...]
_KEEPS_MEMORY = ("detach", "data", "clone", "contiguous", "cpu")
REPLACES = {
    "copy_", "data", "set_", "zero_", "fill_", "normal_", "uniform_", "random_", "bernoulli_", "trunc_normal_",
    "exponential_", "cauchy_", "log_normal_", "geometric_", "eye_",
}  # fmt: skip
"""Writes that do not begin with what is there."""
_RAW = {"empty", "empty_like", "empty_strided", "empty_permuted", "new_empty", "new_empty_strided"}
_TAKEN = 10_000
"""Tensors of which it is remembered that their memory was handed on."""


class Writes(Protocol):
    """Who wants to know that a parameter was written to."""

    def value_written(self, uid: int, stack: Stack, by: str) -> None: ...


class Values:
    """Finds or makes the value of each tensor on one tape."""

    def __init__(
        self, tape: Tape, registry: Registry, writes: Writes, wrapped: Callable[[torch.Tensor], Stack]
    ) -> None:
        self.tape = tape
        self.registry = registry
        self.writes = writes
        self.wrapped = wrapped
        """Where a parameter was made out of a tensor."""
        self._storage: dict[int, int] = {}
        self._numbers = Numbers()
        self._taken: dict[int, weakref.ref[torch.Tensor]] = {}
        """Per memory: the tensor whose `.data` or detached self was taken."""
        self._raw: set[int] = set()
        """Values of tensors that began as memory nobody had written."""
        self._returned: set[int] = set()
        """Views, made while gradients were off, that require one: what a custom function returns of its inputs.
        autograd gives them their history only afterwards."""

    def output(self, op: Op, kind: Kind, tensor: torch.Tensor) -> int:
        requires = tensor.requires_grad
        known = self.tape.find(tensor)
        if known >= 0 and not kind.inplace and any(v == known for v, _ in op.inputs):
            return known
        uid = self.registry.uid(tensor)
        parents: Links = ()
        if kind.name not in operations.UNRELATED:
            copied = kind.inplace and uid >= 0
            grown = requires and not copied and made_by_autograd(tensor)
            parents = tuple([(v, live and grown) for v, live in op.inputs])
            if not parents and kind.name in operations.NEW_TENSOR:
                parents = self._from_numbers(tensor)
        value = self._add(op.index, parents, tensor, uid)
        if kind.name in _RAW or (kind.inplace and op.inputs and op.inputs[0][0] in self._raw):
            self._raw.update([value] if kind.name not in REPLACES else [])
            if not any(self.tape.values[v].bad for v, _ in op.inputs) and self.tape.values[value].bad:
                self.tape.values[value].size = 1.0  # a NaN in memory that nobody has written yet is none
        if requires and op.cause in ("no_grad", "inference_mode") and uid < 0:
            self._returned.add(value)
        if uid >= 0 and kind.inplace:
            self.wrote(uid, op, kind.name)
        self.tape.bind(tensor, value)
        if requires or kind.name in _KEEPS_MEMORY:
            self.tape.remember_memory(tensor, pointer(tensor), value)
        return value

    def wrote(self, uid: int, op: Op, name: str) -> None:
        """A parameter was written to: with other values, or with its own, clamped or scaled ("projected")."""
        entry, stack = self.registry.entries[uid], op.stack
        entry.init_at = stack
        if not stack.has("init") and (len(op.inputs) > 1 or name in ("data", "set_")):  # fills load nothing
            entry.loaded = True
        by = "load_state_dict" if stack.has("load_state_dict") else name
        self.writes.value_written(
            uid, stack, "projected" if projects(self.tape, uid, op, name, copies=name in REPLACES) else by
        )

    def handed_on(self, tensor: torch.Tensor) -> None:
        """The memory of a tensor was handed on without its history (`.data`, `detach()`)."""
        if len(self._taken) < _TAKEN:
            self._taken[storage_pointer(tensor)] = weakref.ref(tensor)

    def alias_write(self, op: Op, kind: Kind, target: torch.Tensor, sources: Links) -> None:
        """An in-place write to a tensor that shares its memory with a parameter writes the parameter."""
        if self.registry.uid(target) >= 0:
            return
        self._write_behind(op, target, sources)
        memory = storage_pointer(target)
        uid = self._storage.get(memory, -1) if memory else -1
        parameter = self.registry.tensor(uid) if uid >= 0 else None
        if parameter is None or storage_pointer(parameter) != memory:
            return
        self.wrote(uid, op, kind.name)
        self.new_version(uid, parameter, op, tuple(v for v, _ in sources))

    def _write_behind(self, op: Op, target: torch.Tensor, sources: Links) -> None:
        """A write through `.data` or a detached view changes the tensor it was taken from, unseen by autograd."""
        entry = self._taken.get(storage_pointer(target))
        source = entry() if entry is not None else None
        if source is None or source is target or self.registry.uid(source) >= 0:
            return
        if storage_pointer(source) != storage_pointer(target):
            return
        old = self.see(source, op.stack)
        op.cause = op.cause if op.cause not in ("", "no_grad", "copied") else "data"
        before = self.tape.values[old]
        parents = ((old, before.requires), *((v, False) for v, _ in sources))
        value = self.tape.add(
            Value(op.index, parents, source.requires_grad, -1, before.floating, before.ndim, before.numel)
        )
        op.outputs = (*op.outputs, value)
        self.tape.bind(source, value)

    def new_version(self, uid: int, parameter: torch.Tensor, op: Op, sources: tuple[int, ...]) -> None:
        """A parameter was given new contents computed from `sources`."""
        op.cause = op.cause if op.cause not in ("", "no_grad") else "copied"
        old = self.see(parameter, op.stack)
        value = self.tape.add(
            Value(op.index, ((old, False), *((s, False) for s in sources)), parameter.requires_grad, uid)
        )
        op.outputs = (*op.outputs, value)
        self.tape.params.setdefault(uid, []).append(value)
        self.tape.bind(parameter, value)

    def see(self, tensor: torch.Tensor, stack: Stack) -> int:
        """The value of a tensor that is being read; makes one for a tensor from elsewhere."""
        if is_lazy(tensor):
            return self.tape.add(Value(-1, (), False))
        known = self.tape.find(tensor)
        if known >= 0:
            seen = self.tape.values[known]
            if known in self._returned and made_by_autograd(tensor):
                self._returned.discard(known)
                return self._promoted(tensor, known)
            if seen.param >= 0 or seen.requires == tensor.requires_grad or not tensor.requires_grad:
                return known
            return self._promoted(tensor, known)
        uid = self.registry.uid(tensor)
        if uid < 0 and isinstance(tensor, nn.Parameter):
            uid = self.registry.add(tensor)
        parents: Links = ()
        made = -1
        if grad_fn(tensor) is not None:
            parents = self._graph_parents(tensor.grad_fn)
        else:
            alias = self.tape.find_memory(pointer(tensor))
            if alias >= 0:
                parents = ((alias, False),)
                self._copied_parameter(uid, alias)
                made = self._rewrapped(tensor, uid, alias, stack)
            else:
                parents = self._from_numbers(tensor)
        value = self._add(made, parents, tensor, uid)
        if uid >= 0:
            self._remember_storage(tensor, uid)
        self.tape.bind(tensor, value)
        return value

    def adopt(self, tensor: torch.Tensor, uid: int) -> None:
        """A tensor turned out to be a parameter, maybe after it was read: an optimizer holds it."""
        self._remember_storage(tensor, uid)
        entry = self.registry.entries[uid]
        if entry.late and not entry.registered.frames:
            entry.registered = self.wrapped(tensor)
        known = self.tape.find(tensor)
        value = self.tape.values[known] if known >= 0 else None
        if value is None or value.param >= 0 or (tensor.requires_grad and not value.requires):
            return  # what was read before it was made a leaf is not the parameter
        value.param = uid
        self._born(uid, known)

    def _born(self, uid: int, value: int) -> None:
        self.tape.params.setdefault(uid, []).append(value)
        self.tape.born.add(value)

    def _remember_storage(self, tensor: torch.Tensor, uid: int) -> None:
        memory = storage_pointer(tensor)
        if memory:
            self._storage[memory] = uid

    def _from_numbers(self, tensor: torch.Tensor) -> Links:
        return tuple([(source, False) for source in self._numbers.sources(tensor)])

    def _add(self, op: int, parents: Links, tensor: torch.Tensor, uid: int) -> int:
        floating = tensor.is_floating_point() or tensor.is_complex()
        half = tensor.dtype in (torch.float16, torch.bfloat16)
        made = Value(op, parents, tensor.requires_grad, uid, floating, tensor.ndim, tensor.numel(), size(tensor), half)
        value = self.tape.add(made)
        if uid >= 0:
            self.tape.params.setdefault(uid, []).append(value)
        return value

    def _rewrapped(self, tensor: torch.Tensor, uid: int, alias: int, stack: Stack) -> int:
        """A tensor was wrapped anew (nn.Parameter, Variable, from_numpy): an operation that nobody saw."""
        if uid >= 0:
            made = self.wrapped(tensor)
            stack = call_in(self.registry.line_of(uid) or (made if made.frames else stack), "Parameter")
        name = WRAPPED if uid >= 0 else "new_tensor"
        op = Op(len(self.tape.ops), name, stack, ((alias, self.tape.values[alias].requires),))
        op.cause = "new_tensor"
        self.tape.ops.append(op)
        return op.index

    def _copied_parameter(self, uid: int, alias: int) -> None:
        if uid < 0:
            return
        op = self.tape.values[alias].op
        if op >= 0 and (self.tape.ops[op].stack.has("deepcopy") or self.tape.ops[op].name == LOAD):
            for parent, _ in self.tape.values[alias].parents:
                source = self.tape.values[parent]
                if source.param < 0 and source.parents:
                    source = self.tape.values[source.parents[0][0]]
                if source.param >= 0:
                    self.registry.entries[uid].copy_of = source.param
                    self.registry.entries[uid].copied_at = self.tape.ops[op].stack

    def _promoted(self, tensor: torch.Tensor, known: int) -> int:
        """A value that carried no gradient now does: it was made a leaf, or a custom function returned its inputs."""
        parents: Links = ((known, False),)
        if grad_fn(tensor) is not None:
            live = self._graph_parents(tensor.grad_fn)
            inputs = {v for v, _ in self.tape.values[known].parents}  # autograd may lead back to all of them
            parents = live if inputs and inputs <= {v for v, _ in live} else (*parents, *live)
        old, uid = self.tape.values[known], self.registry.uid(tensor)
        value = self.tape.add(Value(old.op, parents, True, uid, old.floating, old.ndim, old.numel, old.size, old.half))
        if uid >= 0:
            self._born(uid, value)
        self.tape.bind(tensor, value)
        return value

    def _graph_parents(self, node: Any) -> Links:
        """Values that autograd says a tensor was computed from, for a tensor whose making was not seen."""
        parents: dict[int, None] = {}
        todo: list[Any] = [node]
        seen: set[Any] = set()
        while todo and len(seen) < 200:
            for child, _ in todo.pop().next_functions:
                if child is None or child in seen:
                    continue
                seen.add(child)
                variable = getattr(child, "variable", None)
                if variable is not None:
                    found = self.tape.find(variable)
                    parents[found if found >= 0 else self.see(variable, EMPTY)] = None
                    continue
                op = self.tape.op_of_node(child._sequence_nr())
                live = [v for v in self.tape.ops[op].outputs if self.tape.values[v].requires] if op >= 0 else []
                if live:
                    parents[live[0]] = None
                else:
                    todo.append(child)
        return tuple((value, True) for value in parents)

    def array(self, op: Op, result: Any) -> None:
        """Keep the memory of an array made from a tensor recognisable, and its value on the tape."""
        value = self.tape.add(Value(op.index, tuple((v, False) for v, _ in op.inputs), False))
        op.outputs = (value,)
        self._numbers.left(result, value)
        interface = getattr(result, "__array_interface__", None)
        if interface is not None and bool(getattr(result, "ndim", None)):
            self.tape.remember_memory(result, interface["data"][0], value)
