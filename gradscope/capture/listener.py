"""What lineage tells the rest of capture."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch

from gradscope.capture.source import Stack


class Listener(Protocol):
    """Who is told, while a program is traced."""

    def cleared(self, tensor: torch.Tensor, stack: Stack, *, to_none: bool) -> None: ...

    def grads_written(self, tensors: list[torch.Tensor], stack: Stack, by: str) -> None: ...

    def value_written(self, uid: int, stack: Stack, by: str) -> None: ...

    def grad_assigned(self, tensor: torch.Tensor, stack: Stack) -> None: ...

    def is_grad(self, tensor: torch.Tensor) -> bool: ...

    def backward(self, func: Callable[..., Any], args: Any, kwargs: Any, stack: Stack) -> Any: ...

    def optimizer_built(self, optimizer: Any, stack: Stack) -> None: ...

    def blinded(self) -> None: ...

    def failed(self, probe: str, error: Exception) -> None: ...
