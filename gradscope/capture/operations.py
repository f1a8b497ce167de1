"""What each torch function means to lineage: which to ignore, which cut, which leave torch."""

from __future__ import annotations

from typing import Any

SKIP = "skip"
PLAIN = "plain"
ESCAPE = "escape"

DEEPCOPY = "__deepcopy__"
_GETTERS = {"data", "T", "mT", "H", "mH", "real", "imag"}
_SETTERS = {"data", "requires_grad", "grad"}

_ESCAPES = {
    "item": "item",
    "tolist": "item",
    "__float__": "item",
    "__int__": "non_differentiable",
    "__index__": "non_differentiable",
    "__complex__": "item",
    "numpy": "numpy",
    "__array__": "numpy",
    "__dlpack__": "new_tensor",
}

_IGNORED = {
    "size", "dim", "stride", "numel", "nelement", "element_size", "is_contiguous", "storage_offset", "data_ptr",
    "untyped_storage", "get_device", "is_floating_point", "is_complex", "is_signed", "is_same_size",
    "is_set_to", "ndimension", "is_storage", "is_tensor", "is_inference", "is_pinned", "is_shared",
    "__len__", "__repr__", "__format__", "__hash__", "__bool__", "__contains__", "__dlpack_device__", "__sizeof__",
    "__reduce_ex__", "__setstate__", "__dir__", "has_names", "names", "result_type", "can_cast",
    "promote_types", "finfo", "get_default_dtype", "_has_compatible_shallow_copy_type", "is_grad_enabled",
    "_record_function_enter_new", "_record_function_enter", "_record_function_exit", "is_nonzero", "equal",
    "allclose", "is_distributed", "is_neg", "is_conj", "_is_view", "_is_zerotensor", "retain_grad", "share_memory_",
    "_dimI", "_dimV", "dense_dim", "sparse_dim", "_nested_tensor_size", "record_stream", "pin_memory", "get_rng_state",
    "unsafe_chunk_sizes", "_assert", "_assert_async", "storage", "_typed_storage", "register_post_accumulate_grad_hook",
    "_get_tracing_state", "is_autocast_enabled", "broadcast_shapes", "broadcast_tensors_shapes",
    "has_torch_function", "_linalg_check_errors", "manual_seed", "set_printoptions", "iscomplexobj",
}  # fmt: skip

NEW_TENSOR = {
    "tensor", "as_tensor", "asarray", "new_tensor", "scalar_tensor", "full", "full_like", "new_full", "from_dlpack",
}  # fmt: skip

SELECTION = {
    "argmax", "argmin", "argsort", "gt", "lt", "ge", "le", "eq", "ne", "__gt__", "__lt__", "__ge__", "__le__", "__eq__",
    "__ne__", "isnan", "isinf", "isfinite", "nonzero", "searchsorted", "bucketize", "multinomial", "one_hot", "unique",
    "bincount", "histc", "logical_not", "logical_and", "logical_or", "greater", "less", "int", "long", "bool", "short",
    "byte", "char", "to", "type", "type_as", "topk", "sort", "bernoulli", "sign_bit", "signbit", "histogram",
    "count_nonzero", "any", "all", "floor_divide", "__floordiv__", "poisson", "zeros_like", "ones_like", "rand_like",
    "randn_like", "empty_like", "new_zeros", "new_ones", "new_empty", "randint_like",
}  # fmt: skip

UNRELATED = {
    "zeros_like", "ones_like", "rand_like", "randn_like", "empty_like", "new_zeros", "new_ones", "new_empty",
    "randint_like", "full_like", "new_full",
}  # fmt: skip
"""Take a tensor's shape, not its values."""


class Kind:
    """How lineage treats one torch function."""

    __slots__ = ("action", "cause", "inplace", "name")

    def __init__(self, name: str, action: str, cause: str = "", inplace: bool = False) -> None:
        self.name, self.action, self.cause, self.inplace = name, action, cause, inplace


def classify(func: Any) -> Kind:
    """The Kind of a torch function or of a property's getter or setter."""
    name = getattr(func, "__name__", "") or str(func)
    if name in ("__get__", "__set__"):
        prop = getattr(getattr(func, "__self__", None), "__name__", "")
        if name == "__set__":
            return Kind(prop, f"set_{prop}" if prop in _SETTERS else SKIP)
        if prop == "data":
            return Kind("data", PLAIN, "data")
        return Kind(prop, PLAIN if prop in _GETTERS else SKIP)
    special = _special(name, func)
    if special:
        return special
    if name in _ESCAPES:
        return Kind(name, ESCAPE, _ESCAPES[name])
    if name in _IGNORED or name.startswith(("is_", "_is_")):
        return Kind(name, SKIP)
    inplace = (name.endswith("_") and not name.endswith("__")) or name == "__setitem__" or _inplace_dunder(name)
    return Kind(name, PLAIN, _cause(name), inplace)


def own_cause(name: str) -> str:
    """Why an operation of this name hands on no gradient, whatever the mode; empty if it does."""
    return _ESCAPES.get(name) or _cause(name)


def _special(name: str, func: Any) -> Kind | None:
    module = getattr(func, "__module__", "") or ""
    if name == "_set_grad_enabled":
        return Kind(name, "grad_mode")
    if name == "backward":
        return Kind(name, "backward")
    if name == "grad" and "autograd" in module:
        return Kind(name, "autograd_grad")
    if name == "requires_grad_":
        return Kind(name, "requires_grad_")
    if name == "register_hook":
        return Kind(name, "register_hook")
    return None


def _inplace_dunder(name: str) -> bool:
    return name.startswith("__i") and name.endswith("__") and name not in ("__invert__", "__index__", "__int__")


def _cause(name: str) -> str:
    if name in ("detach", "detach_"):
        return "detach"
    if name in NEW_TENSOR:
        return "new_tensor"
    if name in ("copy_", DEEPCOPY):
        return "copied"
    return ""
