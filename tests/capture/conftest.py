"""What the tests of capture share: nothing may stay behind, and one thread is enough."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import pytest
import torch
from torch.nn.modules import module as nn_module
from torch.optim import optimizer as torch_optimizer

from gradscope.capture import failure

if TYPE_CHECKING:
    from collections.abc import Iterator

GLOBAL_HOOKS = (
    torch_optimizer._global_optimizer_pre_hooks,
    torch_optimizer._global_optimizer_post_hooks,
    nn_module._global_parameter_registration_hooks,
    nn_module._global_module_registration_hooks,
    nn_module._global_forward_hooks,
    nn_module._global_forward_pre_hooks,
)


def left_behind() -> list[str]:
    """What of ours is still attached to torch."""
    left = [f"{len(hooks)} global hooks" for hooks in GLOBAL_HOOKS if hooks]
    if torch._C._len_torch_function_stack():
        left.append("a torch function mode")
    return left


def hooked(module: torch.nn.Module) -> int:
    """How many hooks sit on the parameters of a module."""
    return sum(len(p._post_accumulate_grad_hooks or ()) for p in module.parameters())


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    failure._said.clear()
    yield
    gc.collect()
    assert not left_behind()
