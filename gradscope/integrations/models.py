"""The models inside one module, as frameworks wrap them: its children that have parameters, named by attribute."""

from __future__ import annotations

from typing import Any


def models_inside(module: Any) -> dict[str, Any]:
    """Name to child module, behind any wrapper; what the module holds itself goes under the name of its class."""
    from gradscope.capture.distributed import unwrapped

    module = unwrapped(module)
    models: dict[str, Any] = {
        name: child for name, child in module.named_children() if any(True for _ in child.parameters())
    }
    own = [parameter for _, parameter in module.named_parameters(recurse=False)]
    if own:
        models[type(module).__name__] = own
    return models
