"""Why a node of the autograd graph turned a gradient into zeros: its kind and the values it saved.

Called from inside the backward pass, while the saved values are there. The answer is a cause of the closed
list, or a question about an operand ("operand:weight") that the tape answers afterwards.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import torch

_RELU = ("Relu", "Threshold", "PreluKernel", "Prelu")
_CLAMP = ("Clamp", "Hardtanh", "Hardsigmoid", "Hardswish", "Relu6", "Minimum", "Maximum")
_STEP = (
    "Sign", "Sgn", "Round", "Floor", "Ceil", "Trunc", "Heaviside", "Fix", "FloorDivide", "Bernoulli", "Fmod",
    "Nextafter", "Normal", "Poisson",
)  # fmt: skip
_SQUASH = (
    "Sigmoid", "Tanh", "LogSigmoid", "Erf", "Erfc", "Softplus", "Gelu", "Elu", "Selu", "Celu", "Mish", "Silu", "Atan",
)  # fmt: skip
_MASK = (
    "MaskedFill", "Where", "MaskedScatter", "MaskedSelect", "Triu", "Tril", "IndexFill", "SWhere", "IndexPut",
    "Index", "Slice", "Select", "Narrow", "Scatter", "Gather", "IndexSelect", "Fill", "Zero", "Copy", "ConstantPad",
)  # fmt: skip
_PRODUCT = ("Mul", "Div", "Addcmul", "Lerp", "Dot", "Addcdiv")
_MATRIX = ("Addmm", "Mm", "Bmm", "Mv", "Baddbmm", "Convolution", "Linear", "Addmv", "Addbmm", "ConvolutionBackward",
           "MkldnnLinear", "Einsum", "Linalg")  # fmt: skip
_NORMALISER = ("NativeLayerNorm", "NativeGroupNorm", "NativeBatchNorm", "CudnnBatchNorm", "Std", "Var", "FusedRmsNorm",
               "RmsNorm")  # fmt: skip
_MARGIN = ("MarginRankingLoss", "TripletMargin", "HingeEmbedding", "CosineEmbedding", "MultiMargin", "MultilabelMargin",
           "SoftMargin")  # fmt: skip

SATURATED = 1e-6


@cache
def base_name(name: str) -> str:
    """`MulBackward0` -> `Mul`."""
    name = name.rsplit("::", 1)[-1]
    return re.sub(r"Backward\d*$", "", name)


def zero_cause(node: Any, name: str, operand: int, grads: Any) -> tuple[str, int]:
    """(cause, operand) for a node that was given a gradient and sent zeros to its input `operand`."""
    base = base_name(name)
    if not name.endswith(tuple("0123456789")) and hasattr(node, "saved_tensors"):
        return _custom(node), operand
    if base.startswith(_MARGIN):
        return "satisfied_margin", operand
    if base.startswith(("Softmax", "LogSoftmax", "SafeSoftmax", "Logsumexp")):
        return _softmax(node, base, grads), operand
    if base in ("Embedding", "EmbeddingBag", "EmbeddingDense"):
        return _embedding(node), operand
    if base.startswith("NllLoss"):
        return "masked", operand  # every target is the index to ignore
    if base.startswith("CtcLoss"):
        return "ctc_infeasible", operand
    if base.startswith("GridSampler"):
        nearest = getattr(node, "_saved_interpolation_mode", 0) == 1
        return ("zero_derivative" if nearest and operand == 1 else "out_of_range_sampling"), operand
    if _tiny(grads) or base == "Mean":  # which divides by a number of elements
        return "low_precision_underflow", operand
    if base.startswith("Div") and getattr(node, "_saved_rounding_mode", None):
        return "zero_derivative", operand
    return _by_family(node, base, operand)


def _by_family(node: Any, base: str, operand: int) -> tuple[str, int]:
    if base in _STEP:
        return "zero_derivative", operand
    if base.startswith(_CLAMP):
        low, high = getattr(node, "_saved_min", None), getattr(node, "_saved_max", None)
        if (low is not None and high is not None) or not base.startswith("Clamp"):
            return "clamp_out_of_range", operand
        raised = isinstance(low, (int, float)) and low > 0
        return ("raised_floor" if raised else "one_sided_clamp"), operand
    if base.startswith(_RELU) or base == "LeakyRelu":
        return "relu", operand
    if base in _SQUASH:
        return "saturated_activation", operand
    if base.startswith(_NORMALISER):
        return "constant_output", operand
    if base in _MATRIX or base in _PRODUCT or base.startswith(("Convolution", "Mkldnn", "Linalg")):
        return _product(node, base, operand), operand
    if base in _MASK or base.startswith(_MASK):
        return "masked", operand
    if base in ("ToCopy", "To"):
        return "low_precision_underflow", operand
    if base in ("NativeDropout", "FusedDropout", "Dropout"):
        return "masked", operand
    if base in ("Pow", "Abs", "Norm", "LinalgVectorNorm", "Sqrt", "Cdist"):
        return "operand_zero", operand
    return "unknown", operand


def _custom(node: Any) -> str:
    """A user's autograd.Function: its context is the node."""
    zero = any(isinstance(v, (int, float)) and not isinstance(v, bool) and v == 0 for v in vars(node).values())
    return "zero_multiplier" if zero else "custom_function"


def _softmax(node: Any, base: str, grads: Any) -> str:
    result = _saved(node, "result")
    dim = getattr(node, "_saved_dim", -1)
    if isinstance(dim, (tuple, list)):
        dim = dim[0] if dim else -1
    if result is None:
        return "saturated_activation"
    dim = dim - (1 << 64) if dim > (1 << 63) else dim
    if result.ndim == 0 or result.shape[dim] == 1:
        return "constant_output"
    chance = result.exp() if base.startswith("Log") else result
    if bool((chance.amax(dim) > 1 - SATURATED).all()):
        return "saturated_activation"
    grad = grads[0] if grads else None
    if grad is not None and bool((grad.amax(dim) == grad.amin(dim)).all()):
        return "constant_output"
    return "saturated_activation"


def _embedding(node: Any) -> str:
    padding = getattr(node, "_saved_padding_idx", -1)
    padding = padding - (1 << 64) if padding > (1 << 63) else padding
    indices = _saved(node, "indices")
    if padding >= 0 and indices is not None and bool((indices == padding).all()):
        return "padding_idx"
    return "masked"


def _product(node: Any, base: str, operand: int) -> str:
    """A product is zero because the other factor is."""
    others = {
        "Mul": {0: "other", 1: "self"},
        "Div": {0: "other", 1: "self"},
        "Mm": {0: "mat2", 1: "self"},
        "Bmm": {0: "mat2", 1: "self"},
        "Addmm": {1: "mat2", 2: "mat1"},
        "Mv": {0: "vec", 1: "self"},
        "Dot": {0: "tensor", 1: "self"},
        "Baddbmm": {1: "batch2", 2: "batch1"},
    }.get(base) or ({0: "weight", 1: "input"} if base.startswith("Convolution") else {})
    saved = _saved(node, others.get(operand, "other"))
    if saved is None:
        return "zero_multiplier" if base in _PRODUCT else "operand_zero"
    if base == "Mul" and saved.numel() == 1:
        return "zero_multiplier" if not saved.any() else "unknown"
    return "operand_zero" if not bool(saved.any()) else "disjoint"


def _tiny(grads: Any) -> bool:
    """The gradient that came in is so small that its dtype cannot hold a product of it."""
    for grad in grads:
        if grad is None or not grad.is_floating_point() or grad.numel() == 0:
            continue
        largest = float(grad.abs().max())
        if 0 < largest < 4 * torch.finfo(grad.dtype).smallest_normal:
            return True
        if grad.dtype is torch.float16 and 0 < largest < 1e-6:
            return True
    return False


def _saved(node: Any, name: str) -> Any:
    try:
        value = getattr(node, f"_saved_{name}", None)
    except RuntimeError:
        return None
    return value if isinstance(value, torch.Tensor) else None
