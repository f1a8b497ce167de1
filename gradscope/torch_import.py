"""Does something at the moment the script imports torch.

`gradscope run` must not import torch itself before the script does: torch reads environment variables such as
OMP_NUM_THREADS when it is imported, and scripts set them first. A script without torch then costs nothing either.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType


@contextmanager
def when_torch_is_imported(action: Callable[[], None]) -> Iterator[None]:
    """Call `action` once within this context, right after torch has been imported (at once if it is already)."""
    if "torch" in sys.modules:
        action()
        yield
        return
    finder = _TorchFinder(action)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        if finder in sys.meta_path:
            sys.meta_path.remove(finder)


class _TorchFinder(MetaPathFinder):
    """Finds torch as the other finders do, with a loader that acts afterwards; then steps out of the way."""

    def __init__(self, action: Callable[[], None]) -> None:
        self.action = action

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "torch":
            return None
        sys.meta_path.remove(self)
        spec = find_spec("torch")
        if spec is not None and spec.loader is not None:
            spec.loader = _ActingLoader(spec.loader, self.action)
        return spec


class _ActingLoader(Loader):
    """Loads with the real loader, puts it back where it belongs, then acts."""

    def __init__(self, loader: Loader, action: Callable[[], None]) -> None:
        self.loader = loader
        self.action = action

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self.loader
        if module.__spec__ is not None:
            module.__spec__.loader = self.loader
        self.loader.exec_module(module)
        self.action()
