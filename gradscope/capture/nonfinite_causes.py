"""Why a NaN or Inf was born: in the forward pass by an operation, or in the backward pass by a node."""

from __future__ import annotations

import math
from typing import Any

import torch

from gradscope.capture.zero_causes import base_name

_BY_NAME = {
    "sqrt": "sqrt_at_zero", "sqrt_": "sqrt_at_zero",
    "rsqrt": "norm_division_by_zero", "rsqrt_": "norm_division_by_zero",
    "log": "log_of_zero", "log2": "log_of_zero", "log10": "log_of_zero", "log1p": "log_of_zero", "xlogy": "log_of_zero",
    "log_": "log_of_zero", "logit": "log_of_zero", "kl_div": "log_of_zero", "binary_cross_entropy": "log_of_zero",
    "binarycrossentropy": "log_of_zero", "kldiv": "log_of_zero", "entr": "log_of_zero", "special_entr": "log_of_zero",
    "acos": "trig_domain_edge", "asin": "trig_domain_edge", "acosh": "trig_domain_edge", "atanh": "trig_domain_edge",
    "arccos": "trig_domain_edge", "arcsin": "trig_domain_edge", "arctanh": "trig_domain_edge",
    "arccosh": "trig_domain_edge", "atan2": "trig_domain_edge", "arctan2": "trig_domain_edge", "angle":
    "trig_domain_edge", "erfinv": "trig_domain_edge", "tan": "trig_domain_edge",
    "exp": "exp_overflow", "exp2": "exp_overflow", "expm1": "exp_overflow", "sinh": "exp_overflow",
    "cosh": "exp_overflow", "exp_": "exp_overflow", "logsumexp": "exp_overflow", "poisson_nll_loss": "exp_overflow",
    "pow": "pow_domain", "__pow__": "pow_domain", "__rpow__": "pow_domain", "float_power": "pow_domain",
    "softmax": "softmax_all_masked", "log_softmax": "softmax_all_masked", "logsoftmax": "softmax_all_masked",
    "scaled_dot_product_attention": "softmax_all_masked", "multi_head_attention_forward": "softmax_all_masked",
    "safesoftmax": "softmax_all_masked", "scaleddotproductflashattentionforcpu": "softmax_all_masked",
    "std": "empty_or_single_reduction", "var": "empty_or_single_reduction", "mean": "empty_or_single_reduction",
    "std_mean": "empty_or_single_reduction", "var_mean": "empty_or_single_reduction",
    "median": "empty_or_single_reduction", "nanmean": "empty_or_single_reduction", "cov": "empty_or_single_reduction",
    "mse_loss": "empty_or_single_reduction", "l1_loss": "empty_or_single_reduction",
    "smooth_l1_loss": "empty_or_single_reduction", "cross_entropy": "empty_or_single_reduction",
    "nll_loss": "empty_or_single_reduction", "corrcoef": "empty_or_single_reduction",
    "div": "division_by_zero", "__truediv__": "division_by_zero", "div_": "division_by_zero",
    "true_divide": "division_by_zero", "reciprocal": "division_by_zero", "__rtruediv__": "division_by_zero",
    "__rdiv__": "division_by_zero", "__div__": "division_by_zero", "divide": "division_by_zero",
    "cosine_similarity": "norm_division_by_zero", "normalize": "norm_division_by_zero",
    "mul": "inf_times_zero", "__mul__": "inf_times_zero", "__rmul__": "inf_times_zero", "matmul": "inf_times_zero",
    "__matmul__": "inf_times_zero", "bmm": "inf_times_zero", "mm": "inf_times_zero", "einsum": "inf_times_zero",
    "linear": "inf_times_zero", "mul_": "inf_times_zero",
    "ctc_loss": "ctc_infeasible", "ctcloss": "ctc_infeasible",
}  # fmt: skip

_DECOMPOSITIONS = (
    "svd", "linalg_svd", "eigh", "linalg_eigh", "eig", "linalg_eig", "qr", "linalg_qr", "cholesky", "linalg_cholesky",
    "linalg_inv", "inverse", "linalg_solve", "solve", "linalg_lstsq", "pinverse", "linalg_pinv", "symeig", "logdet",
    "slogdet", "linalg_slogdet", "det", "linalg_det", "linalg_matrix_norm", "lu", "linalg_matrix_exp", "linalg_lu",
    "linalginvex", "linalgsolveex", "linalgcholeskyex", "linalgslogdet",
)  # fmt: skip

_NORMS = ("norm", "vector_norm", "linalg_norm", "linalg_vector_norm", "sqrt", "cdist", "pairwise_distance")


_LITERAL = {
    "masked_fill", "masked_fill_", "where", "full", "full_like", "tensor", "as_tensor", "__setitem__", "fill_",
    "new_full", "index_fill", "index_fill_", "masked_scatter", "triu", "tril", "constant_pad_nd", "pad", "scatter",
    "scatter_",
    "index_put_", "new_tensor", "float", "to", "nan_to_num", "copy_", "from_numpy",
}  # fmt: skip
"""Operations that put a value where they are told: an infinity they make was meant, or is in the data."""


def is_literal(name: str) -> bool:
    """Whether an operation only places values, so that an Inf in its result was put there on purpose."""
    return name in _LITERAL


def forward_cause(
    name: str, args: Any, inputs_bad: set[str], half: bool, denominator: str, *, only_inf: bool = False
) -> str:
    """Why an operation with these arguments made NaN or Inf. `denominator`: what made its second operand.

    `only_inf`: there is no NaN in what it made.
    """
    if name.lstrip("_") in _DECOMPOSITIONS or name in _DECOMPOSITIONS:
        return "degenerate_decomposition"
    if is_literal(name) or any(isinstance(a, float) and math.isnan(a) for a in args):
        return "nan_in_data"
    cause = _BY_NAME.get(name, "")
    if "inf" in inputs_bad:
        return cause if cause in ("softmax_all_masked", "inf_times_zero") else ""
    if cause == "division_by_zero":
        return _division(args, name, half, denominator)
    if cause == "empty_or_single_reduction" and only_inf:
        cause = ""  # a mean of nothing is NaN
    if cause == "pow_domain" and not _off_domain(args[::-1] if name == "__rpow__" else args):
        cause = ""
    if half and cause in ("inf_times_zero", "", "exp_overflow"):
        return "half_overflow"
    if cause == "inf_times_zero":
        return cause if _infinite_number(args) else "exp_overflow"
    return cause or "exp_overflow"


def _division(args: Any, name: str, half: bool, denominator: str) -> str:
    if half and not _has_zero(args, name):
        return "half_overflow"
    if denominator in _NORMS:
        return "norm_division_by_zero"
    return "division_by_zero"


def _infinite_number(args: Any) -> bool:
    return any(isinstance(a, float) and math.isinf(a) for a in args)


def _has_zero(args: Any, name: str) -> bool:
    """Whether the divisor holds a zero."""
    position = 0 if name in ("reciprocal", "__rtruediv__", "__rdiv__") else 1
    divisor = args[position] if len(args) > position else None
    if isinstance(divisor, torch.Tensor):
        return bool((divisor == 0).any())
    return divisor == 0


def _off_domain(args: Any) -> bool:
    """Whether a power has no finite value: of a negative number with a fraction, or of zero with less than zero."""
    if len(args) < 2:
        return True
    base, exponent = (torch.as_tensor(a).detach() for a in args[:2])
    return bool(((base < 0) & (exponent != exponent.round())).any() or ((base == 0) & (exponent < 0)).any())


def backward_cause(node: Any, name: str, operand: int, grads: Any) -> tuple[str, int]:
    """Why a node that was given a finite gradient sent on NaN or Inf."""
    base = base_name(name)
    lower = base.lower()
    if lower in _DECOMPOSITIONS or (lower.startswith(("linalg", "svd", "eig")) and "norm" not in lower):
        return "degenerate_decomposition", operand
    if any(g is not None and g.dtype is torch.float16 for g in grads) and lower not in _BY_NAME:
        return "half_overflow", operand
    if lower in ("norm", "linalgvectornorm", "cdist", "normalize"):
        return "norm_division_by_zero", operand
    if lower in ("std", "var"):
        saved = getattr(node, "_saved_self", None)
        single = isinstance(saved, torch.Tensor) and saved.numel() <= 1
        return ("empty_or_single_reduction" if single else "sqrt_at_zero"), operand
    return _BY_NAME.get(lower, "unknown"), operand
