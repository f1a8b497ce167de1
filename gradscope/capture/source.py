"""From running frames to lines of the user's code.

* A stack is kept as (code, instruction) pairs, which costs a microsecond or two; lines are looked up only
  for what ends in a report. `inspect.stack()` costs a hundred times that.
* The user's code is every file outside the standard library, site-packages and this package.
* Library functions that matter for a diagnosis (`load_state_dict`, `deepcopy`, `Function.apply`, ...) are
  noted as marks with their place among the user's frames.
"""

from __future__ import annotations

import functools
import itertools
import linecache
import os
import sys
import sysconfig
from collections import deque
from dataclasses import replace
from types import CodeType, FrameType
from typing import NamedTuple

from torch import overrides

from gradscope.records import Location, Path

_HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_PLUMBING = (_HERE, overrides.__file__)
"""Between an operation and whoever called it: no place of its own."""
_RUNNERS = (os.path.join(_HERE, "cli", "runner.py"), os.path.join(os.sep, "_pytest", "runner.py"))
"""Ends of the files that run the user's script or test: what called them is a command line or a worker of xdist."""
_SCRIPTS = os.path.realpath(sysconfig.get_paths()["scripts"])
_DEMO = os.path.join(_HERE, "demo") + os.sep
_LIBRARIES = tuple(
    {
        os.path.realpath(path) + os.sep
        for key, path in sysconfig.get_paths().items()
        if key in ("stdlib", "platstdlib", "purelib", "platlib")
    }
    | {_HERE + os.sep}
)


_MARKS = {
    ("autograd/function.py", "apply"): "function",
    ("autograd/graph.py", "_engine_run_backward"): "engine",
    ("utils/checkpoint.py", "checkpoint"): "checkpoint",
    ("nn/parameter.py", "__deepcopy__"): "deepcopy",
    ("torch/_tensor.py", "__deepcopy__"): "deepcopy",
    ("nn/parameter.py", "__reduce_ex__"): "pickle",
    ("nn/modules/module.py", "load_state_dict"): "load_state_dict",
    ("nn/modules/module.py", "state_dict"): "state_dict",
    ("nn/modules/module.py", "zero_grad"): "module.zero_grad",
    ("nn/modules/module.py", "_apply"): "module_to",
    ("optim/optimizer.py", "zero_grad"): "optimizer.zero_grad",
    ("optim/optimizer.py", "add_param_group"): "add_param_group",
    ("optim/optimizer.py", "profile_hook_step"): "optimizer",
    ("optim/optimizer.py", "wrapper"): "optimizer",
    ("optim/optimizer.py", "_use_grad"): "optimizer",
    ("optim/optimizer.py", "load_state_dict"): "optimizer",
    ("utils/clip_grad.py", "clip_grad_norm_"): "clip_grad_norm_",
    ("utils/clip_grad.py", "clip_grad_value_"): "clip_grad_value_",
    ("utils/clip_grad.py", "clip_grads_with_norm_"): "clip_grad_norm_",
    ("utils/clip_grad.py", "_clip_grads_with_norm_"): "clip_grad_norm_",
    ("amp/grad_scaler.py", "_unscale_grads_"): "unscale_",
    ("amp/grad_scaler.py", "step"): "scaler.step",
    ("nn/init.py", "*"): "init",
    ("/contextlib.py", "__enter__"): "contextlib",
    ("_functorch/functional_call.py", "stack_module_state"): "stack_module_state",
    ("optim/swa_utils.py", "*"): "swa",
    ("torch/_tensor_str.py", "*"): "print",
    ("torch/serialization.py", "*"): "serialize",
}
_RUNNER, _BETWEEN = "runner", "between"
THIRD_PARTY = "third_party"
"""Mark of a package other than torch, if an operation ran in its code and not in the user's."""
_ITSELF = ("torch", "functorch", "torchgen", "numpy")


class Stack(NamedTuple):
    """The user's frames of one moment, deepest first, and the library functions between them."""

    frames: tuple[tuple[CodeType, int], ...]
    marks: tuple[tuple[str, int], ...] = ()
    """(mark, how many of the user's frames lie below it)."""
    library: tuple[CodeType, int] | None = None
    """The deepest frame, if it is a library's."""

    def above(self, mark: str) -> Stack:
        """The part of the stack above the outermost library function with this mark."""
        depth = max((d for m, d in self.marks if m == mark), default=0)
        return Stack(self.frames[depth:])

    def inside(self, mark: str) -> bool:
        """Whether the operation ran in this library function itself, not in user code that it called."""
        return any(m == mark and depth == 0 for m, depth in self.marks)

    def has(self, mark: str) -> bool:
        return any(m == mark for m, _ in self.marks)

    def reenters(self) -> bool:
        """Whether the engine runs inside of a Function's backward, as for a reentrant checkpoint."""
        marks = [m for m, _ in self.marks if m in ("engine", "function")]
        return "function" in marks[marks.index("engine") :] if "engine" in marks else False


EMPTY = Stack(())


@functools.lru_cache(maxsize=4096)
def is_library(filename: str) -> bool:
    """Whether a file belongs to a library rather than to the user."""
    if filename.startswith("<"):
        return filename.startswith(("<frozen", "<__array", "<attrs", "<torch", "<eval_with_key", "<decorator"))
    path = os.path.realpath(filename)
    if path.startswith(_DEMO):
        return False
    folder, name = os.path.split(path)
    if folder == _SCRIPTS and "." not in name:  # what pip makes of an entry point: pytest, torchrun, jupyter
        return True
    return path.startswith(_LIBRARIES) or f"{os.sep}site-packages{os.sep}" in path


_codes: dict[int, tuple[str | None, CodeType]] = {}
"""Per id of a code object: None for the user's, else its mark ("" for none). Code of two files can be equal."""


def user_files() -> set[str]:
    """The files of the user's code that was in a stack so far."""
    return {code.co_filename for mark, code in _codes.values() if mark is None}


def _classify(code: CodeType) -> str | None:
    if not is_library(code.co_filename):
        return None
    if code.co_filename.endswith(_RUNNERS):
        return _RUNNER
    if code.co_filename.startswith(_PLUMBING):
        return _BETWEEN
    name = code.co_filename.replace(os.sep, "/")
    for (suffix, function), mark in _MARKS.items():
        if name.endswith(suffix) and function in (code.co_name, "*"):
            return mark
    return THIRD_PARTY if is_third_party(name) else ""


def is_third_party(filename: str) -> bool:
    """Whether a file belongs to an installed package other than torch itself."""
    _, found, inside = filename.replace(os.sep, "/").rpartition("/site-packages/")
    return bool(found) and inside.split("/")[0] not in _ITSELF


def file_of(kind: type) -> str:
    """The file that defines a class; empty where there is none."""
    return getattr(sys.modules.get(kind.__module__), "__file__", None) or ""


def snapshot(frame: FrameType | None) -> Stack:
    """The stack from `frame` outwards, cheaply: nothing is looked up and no frame is kept."""
    frames: list[tuple[CodeType, int]] = []
    marks: list[tuple[str, int]] = []
    library: tuple[CodeType, int] | None = None
    while frame is not None:
        code = frame.f_code
        known = _codes.get(id(code))
        if known is None:
            known = _codes[id(code)] = (_classify(code), code)
        kind = known[0]
        if kind is None:
            frames.append((code, frame.f_lasti))
        elif kind is _RUNNER:
            break
        elif kind is not _BETWEEN:
            if kind and not (kind is THIRD_PARTY and (frames or (THIRD_PARTY, 0) in marks)):
                marks.append((kind, len(frames)))
            if library is None and not frames:
                library = (code, frame.f_lasti)
        frame = frame.f_back
    return Stack(tuple(frames), tuple(marks), library)


class Places:
    """Snapshots where the stack is mostly one of the last few: to see that takes half as long as to read it anew."""

    def __init__(self) -> None:
        self._known: deque[tuple[list[tuple[CodeType, int]], bool, Stack]] = deque(maxlen=4)
        """All frames of a stack as far as they were read, and whether there were no more."""

    def snapshot(self, frame: FrameType) -> Stack:
        """`snapshot(frame)`; of the same stack the same object."""
        for frames, ends, stack in self._known:
            at: FrameType | None = frame
            for code, lasti in frames:
                if at is None or at.f_code is not code or at.f_lasti != lasti:
                    break
                at = at.f_back
            else:
                if at is None or not ends:
                    return stack
        stack, frames, at = snapshot(frame), [], frame
        while at is not None and (not frames or _codes[id(frames[-1][0])][0] is not _RUNNER):
            frames.append((at.f_code, at.f_lasti))
            at = at.f_back
        self._known.appendleft((frames, at is None, stack))
        return stack


def here() -> Stack:
    """The stack of the caller's caller."""
    return snapshot(sys._getframe(2))


@functools.lru_cache(maxsize=65536)
def line_of(code: CodeType, lasti: int) -> int:
    """The line an instruction belongs to; a negative instruction is a line itself, negated."""
    if lasti < 0:
        return -lasti if lasti < -1 else code.co_firstlineno
    entry = next(itertools.islice(code.co_positions(), max(lasti, 0) // 2, None), None)
    return (entry[0] if entry else None) or code.co_firstlineno


@functools.lru_cache(maxsize=65536)
def _locate(filename: str, line: int, function: str) -> Location:
    return location(filename, line, function)


def location(filename: str, line: int, function: str = "") -> Location:
    """A Location with its text, the file relative to the working directory where it lies below it."""
    text = linecache.getline(filename, line).strip()
    shown = filename
    if os.path.isabs(filename):
        relative = os.path.relpath(filename)
        shown = filename if relative.startswith("..") else relative
    return Location(shown, line, "" if function == "<module>" else function, text)


def resolve(stack: Stack) -> Path:
    """The user's frames as locations, outermost first."""
    return tuple(
        _locate(code.co_filename, line_of(code, lasti), code.co_name) for code, lasti in reversed(stack.frames)
    )


def call_path(stack: Stack, name: str) -> Path:
    """`resolve`, with the text of one call alone where its line calls `name` several times."""
    path = resolve(stack)
    if not path or path[-1].text.count(f"{name}(") < 2:
        return path
    code, lasti = stack.frames[0]
    line, end, start, stop = next(itertools.islice(code.co_positions(), max(lasti, 0) // 2, None), (None,) * 4)
    if line is None or line != end or start is None or stop is None:
        return path
    text = linecache.getline(code.co_filename, line).encode()[start:stop].decode(errors="replace")
    return (*path[:-1], replace(path[-1], text=text)) if f"{name}(" in text else path


def library_line(stack: Stack) -> str:
    """`package/.../file:line` of the library frame an operation ran in; empty if it ran in the user's code."""
    if stack.library is None:
        return ""
    code, lasti = stack.library
    _, installed, inside = code.co_filename.rpartition(f"{os.sep}site-packages{os.sep}")
    shown = inside if installed else os.sep.join(code.co_filename.split(os.sep)[-3:])
    return f"{shown}:{line_of(code, lasti)}"
