"""The closed list of causes: for each, what happened in words, and the repair in one sentence.

`{where}` in the words is the line, `{what}` the model or its parameters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from gradscope.records import Run


class Cause(NamedTuple):
    """Words for one cause."""

    said: str
    fix: str


CAUSES: dict[str, Cause] = {
    # no gradient
    "detach": Cause(
        "detach() cuts its output out of the graph",
        "remove the detach(), or detach only the copy that is logged or stored",
    ),
    "data": Cause(
        ".data hands on its values without their history",
        "use the tensor itself instead of .data; weights that were computed go in by torch.func.functional_call",
    ),
    "no_grad": Cause("gradients are switched off while it computes", "move the computation out of the no_grad block"),
    "inference_mode": Cause(
        "it computes in inference mode, whose results can never get a gradient",
        "move the computation out of inference_mode",
    ),
    "item": Cause(
        "its result becomes a plain Python number, which comes back as a constant",
        "keep the tensor in the computation; call .item() only for what is printed",
    ),
    "numpy": Cause(
        "its result goes through numpy, which knows no gradients", "do the computation with torch operations"
    ),
    "new_tensor": Cause(
        "its values are copied into a new tensor that has no history",
        "use torch.stack or torch.cat on the tensors, not torch.tensor",
    ),
    "non_differentiable": Cause(
        "it acts only through a choice (index, comparison, integer) that has no derivative",
        "let the value itself enter the result: multiply with its score, or use a straight-through estimator",
    ),
    "custom_function": Cause(
        "a custom autograd.Function does not pass the gradient on to it",
        "give the tensors to apply() as arguments, return their gradients from backward() (neither None nor zeros), and"
        " mark nothing as non-differentiable in forward()",
    ),
    "checkpoint": Cause(
        "a reentrant checkpoint, none of whose inputs requires a gradient, gives none to what runs inside",
        "call checkpoint(..., use_reentrant=False)",
    ),
    "requires_grad_false": Cause(
        "requires_grad was set to False", "set requires_grad_(True) before it is to be trained, or freeze less"
    ),
    "copied": Cause(
        "only its values are copied into what is trained, not its history",
        "use the original tensors (torch.func.functional_call), or build the optimizer from the copy that is trained",
    ),
    "unused_output": Cause(
        "no loss that is backpropagated uses what it computes", "add it to the loss, or call backward() on it"
    ),
    "unused_module": Cause("it never takes part in the computation", "call it in forward(), or do not build it"),
    "zeroed_before_step": Cause(
        "its gradients are cleared before the optimizer uses them", "call step() between backward() and zero_grad()"
    ),
    # optimizer
    "not_in_optimizer": Cause(
        "it gets gradients, but no optimizer holds it",
        "pass its parameters to the optimizer; if it is not to learn, freeze it with requires_grad_(False)",
    ),
    "stale_parameter": Cause(
        "the optimizer holds tensors that the model no longer uses",
        "build the optimizer after the model is complete, and write into parameters in place with copy_",
    ),
    "in_two_optimizers": Cause("two optimizers apply the same gradient to it", "give each parameter to one optimizer"),
    "missing_step": Cause(
        "its gradients arrive, but step() of its optimizer is never called",
        "call step() on its optimizer after backward()",
    ),
    "never_reaches_step": Cause(
        "the step() of its optimizer is never reached", "check the condition that step() depends on"
    ),
    "scaler_always_skips": Cause(
        "the gradient scaler finds Inf or NaN each time and skips every step",
        "start with a smaller init_scale and find what overflows",
    ),
    "zero_lr": Cause("its learning rate is zero", "set a learning rate above zero"),
    "scheduler_to_zero": Cause(
        "the scheduler takes its learning rate to practically zero",
        "step the scheduler once per epoch, or make it decay more slowly",
    ),
    "clip_to_zero": Cause("clipping shrinks its gradient to nothing", "clip to a larger norm"),
    "missing_zero_grad": Cause(
        "gradients of earlier passes are still there when the optimizer steps",
        "call zero_grad() right before each backward() whose gradient is to be applied",
    ),
    "zero_grad_before_step": Cause(
        "zero_grad() runs between backward() and step(), so the step sees nothing",
        "call zero_grad() before backward() or after step()",
    ),
    "step_before_backward": Cause(
        "step() runs before backward(), when there is no gradient yet", "call backward() first, then step()"
    ),
    "overwritten_after_step": Cause(
        "its values are put back after every step",
        "do not overwrite the parameters after step(), or restore them only where that is meant",
    ),
    "update_lost_in_low_precision": Cause(
        "its updates are smaller than its dtype can represent and are rounded away",
        "keep float32 master weights, or use a larger learning rate",
    ),
    "double_backward": Cause(
        "the same loss is backpropagated twice, so its gradient is doubled", "call backward() once per loss"
    ),
    "zero_filled_grad_still_updated": Cause(
        "momentum or weight decay go on changing it, because its .grad is zeros and not None",
        "use zero_grad(set_to_none=True)",
    ),
    # zero
    "dead_relu": Cause(
        "every input of a ReLU is negative, so nothing gets through",
        "check initialisation, bias and scale before it, or use a leaky activation",
    ),
    "saturated_activation": Cause(
        "an activation is saturated, where the derivative is zero",
        "scale its inputs down (initialisation, normalisation, temperature)",
    ),
    "clamp_out_of_range": Cause(
        "clamp cuts off all values, where the derivative is zero",
        "use a smooth bound such as tanh, or start inside the range",
    ),
    "zero_derivative": Cause(
        "an operation that is constant almost everywhere (rounding, sign, nearest neighbour) has derivative zero",
        "use a smooth version or a straight-through estimator",
    ),
    "zero_multiplier": Cause(
        "it is multiplied by zero on the way to the loss", "check the weight or coefficient that is zero"
    ),
    "masked": Cause("a mask hides everything it computes", "check the mask: it may be inverted or empty"),
    "satisfied_margin": Cause(
        "the margin is satisfied everywhere, so the loss is flat", "use a larger margin or harder examples"
    ),
    "zero_init": Cause(
        "both factors of a product start at zero and stay there",
        "initialise one of the two with small random values",
    ),
    "constant_output": Cause(
        "its output is a constant whatever it computes",
        "normalise over more than one element, or leave that operation out",
    ),
    "out_of_range_sampling": Cause(
        "all sampling positions lie outside the image", "check the scale of the grid: it must lie in [-1, 1]"
    ),
    "padding_idx": Cause(
        "all its indices are the padding index, whose row gets no gradient",
        "choose a padding_idx that is no real index, or none",
    ),
    "grad_hook": Cause("a hook on its gradient returns zeros", "mend or remove the hook"),
    "cancelling_gradient": Cause(
        "the contributions to its gradient cancel exactly",
        "check signs, terms of the loss that are there twice, and what is the same for all that a softmax compares",
    ),
    "low_precision_underflow": Cause(
        "its gradient is too small for half precision and underflows to zero", "use a GradScaler, bfloat16 or float32"
    ),
    # non-finite
    "sqrt_at_zero": Cause(
        "the derivative of a square root at zero is infinite", "add a small eps inside the square root"
    ),
    "norm_division_by_zero": Cause(
        "something is divided by a norm that is zero", "use F.normalize, or clamp the norm from below"
    ),
    "log_of_zero": Cause(
        "a logarithm is taken of zero", "work with log-probabilities (log_softmax, logsigmoid), or clamp from below"
    ),
    "where_untaken_branch": Cause(
        "the branch that where() does not select is not finite, and zero times infinity is NaN",
        "make the inputs of that branch safe too (double where, or clamp)",
    ),
    "trig_domain_edge": Cause(
        "an inverse trigonometric function is evaluated at or beyond the edge of the domain",
        "clamp its input a little inside the domain",
    ),
    "empty_or_single_reduction": Cause(
        "a mean or deviation is taken over no element, or over a single one", "skip such batches, or use correction=0"
    ),
    "pow_domain": Cause(
        "a power is taken where no finite value or derivative exists", "clamp the base to positive values"
    ),
    "exp_overflow": Cause("an exponential overflows", "clamp the exponent, or compute in the log domain"),
    "division_by_zero": Cause("something is divided by zero", "clamp the divisor from below"),
    "softmax_all_masked": Cause(
        "a softmax runs over a row in which everything is masked",
        "keep at least one entry per row, or mask with a large finite number",
    ),
    "inf_times_zero": Cause("infinity is multiplied by zero", "avoid the infinity before the product"),
    "half_overflow": Cause("a half precision value exceeds 65504", "use bfloat16 or float32 here, or scale down"),
    "degenerate_decomposition": Cause(
        "the derivative of a matrix decomposition is not finite here (equal or zero eigenvalues)",
        "add a small multiple of the identity, or avoid its gradient",
    ),
    "nan_in_data": Cause(
        "the data holds NaN or Inf", "clean the data (nan_to_num) before it is used; a zero mask does not remove NaN"
    ),
    "ctc_infeasible": Cause(
        "a CTC target is longer than the input allows", "use CTCLoss(zero_infinity=True), or drop such samples"
    ),
    # vanishing, exploding
    "saturating_depth": Cause(
        "one saturating activation after another shrinks the gradient",
        "use ReLU-like activations, normalisation, or residual connections",
    ),
    "small_init": Cause(
        "each layer shrinks the gradient, as its weights are initialised too small",
        "use Kaiming or Xavier initialisation",
    ),
    "long_recurrence": Cause(
        "the same weights are applied so often that the gradient shrinks or grows without bound",
        "use gating (LSTM, GRU), truncated backpropagation, orthogonal initialisation or gradient clipping",
    ),
    "missing_residual": Cause(
        "many layers without a shortcut shrink the gradient", "add residual connections or normalisation"
    ),
    "saturating_gan_loss": Cause(
        "the loss saturates where the discriminator is sure",
        "use the non-saturating generator loss, softplus(-D(G(z)))",
    ),
    "tiny_loss_scale": Cause("the loss itself is tiny, far below the optimizer's eps", "rescale the loss or its units"),
    "clip_before_unscale": Cause(
        "gradients are clipped while still multiplied by the loss scale",
        "call scaler.unscale_(optimizer) before clipping",
    ),
    "large_init": Cause(
        "each layer multiplies the gradient, as its weights are initialised too large",
        "use Kaiming or Xavier initialisation",
    ),
    "lr_too_large": Cause(
        "the learning rate is so large that the weights run away", "use a smaller learning rate, or warm-up"
    ),
    "unnormalised_data": Cause("its inputs are so large that the gradient is huge", "normalise the inputs"),
    "sum_reduction": Cause(
        "the loss is a sum over many elements, whose number multiplies the gradient", "use the mean"
    ),
    "accumulation_not_averaged": Cause(
        "gradients of many passes are added up without dividing by their number",
        "divide the loss by the number of accumulation steps",
    ),
    "near_zero_normalisation": Cause(
        "a division by a value close to zero multiplies the gradient", "add a larger eps to the divisor"
    ),
    # many processes
    "rank_skips_it": Cause(
        "what these ranks compute never uses it",
        "give every rank data that uses it (DistributedSampler), or add 0 * its output to the loss;"
        " find_unused_parameters=True only keeps DDP from hanging",
    ),
    "ranks_not_averaged": Cause(
        "nothing averages its gradient over the ranks, so the copies of the ranks drift apart",
        "call the model through DistributedDataParallel, and leave no_sync() before the last backward of a step",
    ),
    "data_of_a_rank": Cause("its data or its hardware differ from those of the others", "check what that rank reads"),
    "unknown": Cause("the reason was not found", "run it under `gradscope run`, which traces each operation"),
}
"""Every cause a finding may have."""


def how_to_learn_the_line(run: Run) -> str:
    """What to do where nothing was traced; empty where something was."""
    if run.traced:
        return ""
    mark = "" if run.marked else "mark whole turns (for batch in scope.steps(loader)) or "
    return f"{mark}use `gradscope run` to learn the line"
