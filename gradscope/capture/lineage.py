"""Lineage: follow every tensor through a traced step, with and without its gradient.

A TorchFunctionMode sees each torch call of the thread and writes it on the tape. It calls the function
unchanged, and itself computes nothing but reductions of detached outputs (to see NaN and Inf), so that
results, gradients and random numbers are those of an untraced run.
"""

from __future__ import annotations

import os
import sys
import weakref
from collections.abc import Callable, Iterator
from types import CodeType
from typing import Any, Protocol

import torch
from torch import nn
from torch.nn.parameter import UninitializedTensorMixin
from torch.overrides import TorchFunctionMode

from gradscope.capture import operations
from gradscope.capture.nonfinite_causes import forward_cause
from gradscope.capture.operations import Kind, classify
from gradscope.capture.parameters import Registry
from gradscope.capture.source import EMPTY, Stack, snapshot
from gradscope.capture.tape import Op, Tape, Value

FAILURES = 20
"""Operations that may fail to be written down before tracing stops."""
_HALF = (torch.float16, torch.bfloat16)
DATA_CAUSES = ("log_of_zero", "division_by_zero", "sqrt_at_zero", "pow_domain", "exp_overflow", "norm_division_by_zero",
               "unknown", "nan_in_data", "empty_or_single_reduction", "trig_domain_edge")  # fmt: skip
"""Causes that, in an operation on data alone, only mean that the data is not clean."""
_SHAPING = {"unsqueeze", "view", "reshape", "__getitem__", "expand", "expand_as", "detach", "__add__", "add", "keepdim"}


class Listener(Protocol):
    """What lineage tells the rest of capture."""

    def cleared(self, tensor: torch.Tensor, stack: Stack, *, to_none: bool) -> None: ...

    def grads_written(self, tensors: list[torch.Tensor], stack: Stack, by: str) -> None: ...

    def value_written(self, uid: int, stack: Stack, by: str) -> None: ...

    def grad_assigned(self, tensor: torch.Tensor, stack: Stack) -> None: ...

    def is_grad(self, tensor: torch.Tensor) -> bool: ...

    def backward(self, func: Callable[..., Any], args: Any, kwargs: Any, stack: Stack) -> Any: ...

    def optimizer_built(self, optimizer: Any, stack: Stack) -> None: ...

    def failed(self, probe: str, error: Exception) -> None: ...


class Tracer(TorchFunctionMode):
    """Writes torch calls on a tape while it is entered."""

    def __init__(self, tape: Tape, registry: Registry, listener: Listener) -> None:
        super().__init__()
        self.tape = tape
        self.registry = registry
        self.listener = listener
        self.active = True
        self.modules: list[int] = []
        self.hook_lines: dict[int, Stack] = {}
        """Per uid: where the user put a hook on its gradient."""
        self._kinds: dict[Any, Kind] = {}
        self._off: Stack = EMPTY
        self._pid = os.getpid()
        self._storage: dict[int, int] = {}
        self._taken: dict[int, weakref.ref[torch.Tensor]] = {}
        """Per memory: the tensor whose `.data` or detached self was taken."""
        self._clock = 0
        self._failures = 0
        self.in_optimizer = False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if not self.active or self.in_optimizer:
            return func(*args, **kwargs)
        try:
            kind = self._kinds[func]
        except KeyError:
            kind = self._kinds[func] = classify(func)
        if kind.action == operations.SKIP:
            if kind.name == "is_leaf":
                self._guard(self._see_optimizer, sys._getframe(1))
            return func(*args, **kwargs)
        if os.getpid() != self._pid:
            self.active = False
            return func(*args, **kwargs)
        if kind.action == operations.PLAIN or kind.action == operations.ESCAPE:
            return self._run(kind, func, args, kwargs)
        return self._run_special(kind, func, args, kwargs)

    # --- operations that make tensors ------------------------------------------------------------------------

    def _run(self, kind: Kind, func: Any, args: Any, kwargs: Any) -> Any:
        op = self._guard(self._before, kind, args, kwargs, sys._getframe(2))
        result = func(*args, **kwargs)
        if op is not None:
            self._guard(self._after, op, kind, args, result)
        return result

    def _before(self, kind: Kind, args: Any, kwargs: Any, frame: Any) -> Op | None:
        tensors = list(tensors_in(args))
        if kwargs:
            tensors.extend(tensors_in(kwargs))
        stack = snapshot(frame)
        if stack.inside("optimizer"):
            return None
        if tensors and (kind.inplace or kind.name.startswith("_foreach_")) and self.listener.is_grad(tensors[0]):
            self._grad_write(kind, tensors, stack)
            return None
        if stack.marks and (stack.has("print") or stack.has("module_to")):
            return None
        inputs = tuple([(self.see(tensor, stack), tensor.requires_grad) for tensor in tensors])
        op = Op(len(self.tape.ops), kind.name, stack, inputs)
        op.scalars = _has_float(args) or (bool(kwargs) and _has_float(tuple(kwargs.values())))
        op.module = self.modules[-1] if self.modules else -1
        op.summed = bool(kwargs) and kwargs.get("reduction") == "sum"
        op.escape = kind.action == operations.ESCAPE
        if not torch.is_grad_enabled():
            op.cause = "inference_mode" if torch.is_inference_mode_enabled() else "no_grad"
            op.blame = self._off
        self.tape.ops.append(op)
        self.tape.note_nodes(_sequence(), op.index)
        return op

    def _after(self, op: Op, kind: Kind, args: Any, result: Any) -> None:
        if op.escape:
            op.cause = kind.cause if not op.cause or kind.cause != "item" else op.cause
            self._remember_array(op, result)
            return
        outputs = []
        made = (args[0],) if result is None and kind.inplace and args else (result,)
        for tensor in tensors_in(made):
            outputs.append(self._output(op, kind, tensor))
        op.outputs = tuple(outputs)
        if kind.name in ("data", "detach") and isinstance(args[0], torch.Tensor) and len(self._taken) < 10_000:
            self._taken[_storage_pointer(args[0])] = weakref.ref(args[0])
        if not op.cause:
            op.cause = kind.cause
        if any(self.tape.values[v].bad for v in outputs):
            self._explain_bad(op, kind, args)
        if kind.inplace and args and isinstance(args[0], torch.Tensor):
            self._alias_write(op, kind, args[0])

    def _output(self, op: Op, kind: Kind, tensor: torch.Tensor) -> int:
        requires = tensor.requires_grad
        known = self.tape.find(tensor)
        if known >= 0 and not kind.inplace and any(v == known for v, _ in op.inputs):
            return known
        uid = self.registry.uid(tensor)
        parents: tuple[tuple[int, bool], ...] = ()
        if kind.name not in operations.UNRELATED:
            copied = kind.inplace and uid >= 0
            grown = requires and not copied and _grad_fn(tensor) is not None
            parents = tuple([(v, live and grown) for v, live in op.inputs])
        value = self.tape.add(
            Value(
                op.index,
                parents,
                requires,
                uid,
                tensor.is_floating_point() or tensor.is_complex(),
                tensor.ndim,
                tensor.numel(),
                _size(tensor),
                tensor.dtype in _HALF,
            )
        )
        if uid >= 0:
            self.tape.params.setdefault(uid, []).append(value)
            if kind.inplace:
                self._wrote(uid, op.stack, kind.name)
        self.tape.bind(tensor, value)
        if requires or kind.name in ("detach", "data", "clone", "contiguous", "cpu"):
            self.tape.remember_memory(tensor, _pointer(tensor), value)
        return value

    def _explain_bad(self, op: Op, kind: Kind, args: Any) -> None:
        """Work out why an operation made NaN or Inf, while its arguments are at hand."""
        values = self.tape.values
        inputs = {values[v].bad for v, _ in op.inputs} - {""}
        if "nan" in inputs or (inputs and not any(values[v].bad == "nan" for v in op.outputs)):
            return
        maker = values[op.inputs[1][0]].op if len(op.inputs) > 1 else -1
        maker = self._past_shaping(maker)
        half = any(values[v].half for v in op.outputs)
        op.bad = forward_cause(kind.name, args, inputs, half, self.tape.ops[maker].name if maker >= 0 else "")
        if op.bad in DATA_CAUSES and not any(self._trained(v) for v, _ in op.inputs):
            op.bad = "nan_in_data"

    def _trained(self, value: int) -> bool:
        """Whether a value was computed from a parameter, with gradient or without."""
        todo, seen = [value], {value}
        while todo and len(seen) < 5000:
            at = self.tape.values[todo.pop()]
            if at.param >= 0 or at.requires:
                return True
            for parent, _ in at.parents:
                if parent not in seen:
                    seen.add(parent)
                    todo.append(parent)
        return False

    def _past_shaping(self, op: int) -> int:
        """The operation behind views and added epsilons."""
        for _ in range(4):
            if op < 0 or self.tape.ops[op].name not in _SHAPING or not self.tape.ops[op].inputs:
                break
            op = self.tape.values[self.tape.ops[op].inputs[0][0]].op
        return op

    def _wrote(self, uid: int, stack: Stack, name: str) -> None:
        entry = self.registry.entries[uid]
        entry.init_at = stack
        if not stack.has("init"):
            entry.loaded = True
        self.listener.value_written(uid, stack, "load_state_dict" if stack.has("load_state_dict") else name)

    def _alias_write(self, op: Op, kind: Kind, target: torch.Tensor) -> None:
        """An in-place write to a tensor that shares its memory with a parameter writes the parameter."""
        if self.registry.uid(target) >= 0:
            return
        self._write_behind(op, target)
        uid = self._storage.get(target.untyped_storage().data_ptr(), -1)
        parameter = self.registry.tensor(uid) if uid >= 0 else None
        if parameter is None or parameter.untyped_storage().data_ptr() != target.untyped_storage().data_ptr():
            return
        self._wrote(uid, op.stack, kind.name)
        self.new_version(uid, parameter, op, tuple(v for v, _ in op.inputs[1:]))

    def _write_behind(self, op: Op, target: torch.Tensor) -> None:
        """A write through `.data` or a detached view changes the tensor it was taken from, unseen by autograd."""
        entry = self._taken.get(_storage_pointer(target))
        source = entry() if entry is not None else None
        if source is None or source is target or self.registry.uid(source) >= 0:
            return
        if _storage_pointer(source) != _storage_pointer(target):
            return
        old = self.see(source, op.stack)
        op.cause = op.cause if op.cause not in ("", "no_grad", "copied") else "data"
        before = self.tape.values[old]
        parents = ((old, before.requires), *((v, False) for v, _ in op.inputs[1:]))
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

    # --- values ----------------------------------------------------------------------------------------------

    def see(self, tensor: torch.Tensor, stack: Stack) -> int:
        """The value of a tensor that is being read; makes one for a tensor from elsewhere."""
        if isinstance(tensor, UninitializedTensorMixin):
            return self.tape.add(Value(-1, (), False))
        known = self.tape.find(tensor)
        if known >= 0:
            value = self.tape.values[known]
            if value.param >= 0 or value.requires == tensor.requires_grad or not tensor.requires_grad:
                return known
            return self._promoted(tensor, known)
        uid = self.registry.uid(tensor)
        if uid < 0 and isinstance(tensor, nn.Parameter):
            uid = self.registry.add(tensor)
        parents: tuple[tuple[int, bool], ...] = ()
        made = -1
        if _grad_fn(tensor) is not None:
            parents = self._graph_parents(tensor.grad_fn)
        else:
            alias = self.tape.find_memory(_pointer(tensor))
            if alias >= 0:
                parents = ((alias, False),)
                self._copied_parameter(uid, alias)
                made = self._rewrapped(uid, alias, stack)
        value = self.tape.add(
            Value(
                made,
                parents,
                tensor.requires_grad,
                uid,
                tensor.is_floating_point(),
                tensor.ndim,
                tensor.numel(),
                _size(tensor),
                tensor.dtype in _HALF,
            )
        )
        if uid >= 0:
            self.tape.params.setdefault(uid, []).append(value)
            pointer = _storage_pointer(tensor)
            if pointer:
                self._storage[pointer] = uid
        self.tape.bind(tensor, value)
        return value

    def _rewrapped(self, uid: int, alias: int, stack: Stack) -> int:
        """A tensor was wrapped anew (nn.Parameter, Variable, from_numpy): an operation that nobody saw."""
        if uid >= 0:
            stack = self.registry.line_of(uid) or stack
        op = Op(len(self.tape.ops), "new_tensor", stack, ((alias, self.tape.values[alias].requires),))
        op.cause = "new_tensor"
        self.tape.ops.append(op)
        return op.index

    def _copied_parameter(self, uid: int, alias: int) -> None:
        if uid < 0:
            return
        op = self.tape.values[alias].op
        if op >= 0 and self.tape.ops[op].stack.has("deepcopy"):
            for parent, _ in self.tape.values[alias].parents:
                source = self.tape.values[parent]
                if source.param < 0 and source.parents:
                    source = self.tape.values[source.parents[0][0]]
                if source.param >= 0:
                    self.registry.entries[uid].copy_of = source.param
                    self.registry.entries[uid].copied_at = self.tape.ops[op].stack

    def _promoted(self, tensor: torch.Tensor, known: int) -> int:
        """A value that carried no gradient now does: it was made a leaf, or a custom function returned it."""
        parents: tuple[tuple[int, bool], ...] = ((known, False),)
        if _grad_fn(tensor) is not None:
            parents = (*parents, *self._graph_parents(tensor.grad_fn))
        old = self.tape.values[known]
        value = self.tape.add(
            Value(old.op, parents, True, -1, old.floating, old.ndim, old.numel, old.size, old.half)
        )
        self.tape.bind(tensor, value)
        return value

    def _graph_parents(self, node: Any) -> tuple[tuple[int, bool], ...]:
        """Values that autograd says a tensor was computed from, for a tensor whose making was not seen."""
        parents: dict[int, None] = {}
        todo, seen = [node], set()
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

    def _remember_array(self, op: Op, result: Any) -> None:
        """Keep the memory of an array made from a tensor recognisable, and its value on the tape."""
        value = self.tape.add(Value(op.index, tuple((v, False) for v, _ in op.inputs), False))
        op.outputs = (value,)
        interface = getattr(result, "__array_interface__", None)
        if interface is not None and getattr(result, "ndim", 0):
            self.tape.remember_memory(result, interface["data"][0], value)

    # --- everything else -------------------------------------------------------------------------------------

    def _run_special(self, kind: Kind, func: Any, args: Any, kwargs: Any) -> Any:
        frame = sys._getframe(2)
        if kind.action == "backward":
            return self.listener.backward(func, args, kwargs, snapshot(frame))
        if kind.action == "grad_mode":
            self._guard(self._grad_mode, bool(args[0]), frame)
            return func(*args, **kwargs)
        if kind.action == "autograd_grad":
            return self._run(Kind("autograd.grad", operations.PLAIN), func, args, kwargs)
        if kind.action == "set_data":
            return self._set_data(func, args, kwargs, frame)
        self._guard(self._note, kind, args, kwargs, snapshot(frame))
        return func(*args, **kwargs)

    def _note(self, kind: Kind, args: Any, kwargs: Any, stack: Stack) -> None:
        target = args[0]
        uid = self.registry.uid(target)
        if kind.action == "set_grad":
            if args[1] is None:
                self.listener.cleared(target, stack, to_none=True)
            elif not stack.has("module_to"):
                self.listener.grad_assigned(target, stack)
        elif kind.action == "register_hook":
            if uid >= 0:
                self.hook_lines[uid] = stack
            else:
                self.tape.hooked[self.see(target, stack)] = stack
        elif kind.action in ("set_requires_grad", "requires_grad_"):
            wanted = args[1] if len(args) > 1 else kwargs.get("requires_grad", True)
            if isinstance(target, nn.Parameter):
                entry = self.registry.entries[self.registry.add(target)]
                if wanted:
                    entry.thaws += not target.requires_grad
                    entry.thawed = entry.thawed or not target.requires_grad
                    entry.frozen_at = EMPTY
                elif not stack.has("deepcopy"):
                    self._clock += 1
                    entry.freezes += 1
                    entry.frozen_by = stack
                    entry.frozen_at, entry.frozen_clock = stack, self._clock

    def _set_data(self, func: Any, args: Any, kwargs: Any, frame: Any) -> Any:
        stack = snapshot(frame)
        target, source = args[0], args[1]
        result = func(*args, **kwargs)
        uid = self.registry.uid(target)
        if uid >= 0 and not stack.has("module_to"):
            self._guard(self._data_was_set, uid, target, source, stack)
        elif isinstance(target, nn.Parameter):
            self._guard(self._was_moved, target, source, stack)
        return result

    def _was_moved(self, target: nn.Parameter, source: torch.Tensor, stack: Stack) -> None:
        self.registry.entries[self.registry.add(target)].cast_at = stack

    def _data_was_set(self, uid: int, target: torch.Tensor, source: torch.Tensor, stack: Stack) -> None:
        op = Op(len(self.tape.ops), "data", stack, ((self.see(source, stack), source.requires_grad),))
        op.cause = "data"
        self.tape.ops.append(op)
        self._wrote(uid, stack, "data")
        self.new_version(uid, target, op, (op.inputs[0][0],))

    def _grad_mode(self, enabled: bool, frame: Any) -> None:
        if enabled:
            self._off = EMPTY
        elif torch.is_grad_enabled():
            self._off = _turned_off(frame)

    def _grad_write(self, kind: Kind, tensors: list[torch.Tensor], stack: Stack) -> None:
        if kind.name in ("zero_", "_foreach_zero_"):
            for tensor in tensors:
                self.listener.cleared(tensor, stack, to_none=False)
            return
        marks = [m for m, _ in stack.marks if m in ("clip_grad_norm_", "clip_grad_value_", "unscale_")]
        self.listener.grads_written(tensors, stack, marks[0] if marks else kind.name)

    def _see_optimizer(self, frame: Any) -> None:
        if frame.f_code.co_name == "add_param_group" and "self" in frame.f_locals:
            self.listener.optimizer_built(frame.f_locals["self"], snapshot(frame))

    def _guard(self, probe: Callable[..., Any], *args: Any) -> Any:
        """Run a piece of our own; what fails is left out, and after some failures tracing stops.

        An operation that was left out is no wrong link: its result counts as coming from elsewhere.
        """
        try:
            if self.tape.full:
                self.active = False
                return None
            return probe(*args)
        except Exception as error:  # noqa: BLE001 - the one place that shields the training from this probe
            self._failures += 1
            self.active = self._failures < FAILURES
            self.listener.failed("lineage", error)
            return None


def _turned_off(frame: Any) -> Stack:
    """Where gradients are being turned off: the `with` line, or the decorator of the function that was called."""
    at = frame
    while at is not None:
        if at.f_code.co_name in ("decorate_context", "generator_context") and "func" in at.f_locals:
            code = getattr(at.f_locals["func"], "__code__", None)
            if isinstance(code, CodeType):
                outer = snapshot(at)
                return Stack(((code, -1), *outer.frames), outer.marks)
        if at.f_code.co_filename.endswith(("grad_mode.py", "_contextlib.py")):
            at = at.f_back
            continue
        break
    return snapshot(frame)


def tensors_in(items: Any) -> Iterator[torch.Tensor]:
    """All tensors in nested lists, tuples and dicts; long lists of numbers are not searched."""
    for item in items.values() if isinstance(items, dict) else items:
        if isinstance(item, torch.Tensor):
            yield item
        elif isinstance(item, (list, tuple)):
            if item and not isinstance(item[0], (int, float, str)):
                yield from tensors_in(item)
        elif isinstance(item, dict):
            yield from tensors_in(item)


def _has_float(items: Any) -> bool:
    for item in items:
        if type(item) is float:
            return True
        if isinstance(item, (list, tuple)) and item and _has_float(item[:64]):
            return True
        if type(item).__module__ == "numpy":
            return True
    return False


def _size(tensor: torch.Tensor) -> float:
    """Largest absolute value of a floating tensor; NaN or Inf if it holds one. One reduction."""
    if not tensor.is_floating_point() or tensor.numel() == 0 or tensor.device.type == "meta":
        return 0.0
    if torch._C._functorch.peek_interpreter_stack() is not None or tensor.layout is not torch.strided:
        return 0.0
    if type(tensor) not in (torch.Tensor, nn.Parameter):
        return 0.0
    return float(tensor.detach().abs().max())


def _grad_fn(tensor: torch.Tensor) -> Any:
    """The node that made a tensor; None where torch refuses to say (a view whose base was written to)."""
    try:
        return tensor.grad_fn
    except RuntimeError:
        return None


def _pointer(tensor: torch.Tensor) -> int:
    try:
        return tensor.data_ptr()
    except (RuntimeError, ValueError):
        return 0


def _storage_pointer(tensor: torch.Tensor) -> int:
    try:
        return tensor.untyped_storage().data_ptr()
    except (RuntimeError, NotImplementedError, ValueError):
        return 0


def _sequence() -> int:
    return torch.autograd._get_sequence_nr()  # type: ignore[attr-defined,no-any-return]
