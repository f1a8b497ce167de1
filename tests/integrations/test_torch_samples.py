"""torch's own samples of its modules and operations: to the last bit the same traced, and no probe fails.

They are what torch tests itself with: an import that needs expecttest, and that is not promised to stay.
"""

from __future__ import annotations

import functools
import itertools
import warnings

import pytest
import torch

from gradscope.session import Session

pytest.importorskip("expecttest")
modules = pytest.importorskip("torch.testing._internal.common_modules").module_db
operations = pytest.importorskip("torch.testing._internal.common_methods_invocations").op_db

SAMPLES = 3
AGAIN = 100
"""Runs without gradscope, if one differs from what was traced."""
CHUNK = 40
"""Operations of one test."""


def tensors_in(result):
    if isinstance(result, torch.Tensor):
        return [result]
    parts = result.values() if isinstance(result, dict) else result if isinstance(result, (list, tuple)) else ()
    return [tensor for part in parts for tensor in tensors_in(part)]


def bits(tensor):
    if tensor.is_nested:
        return [bits(part) for part in tensor.unbind()]
    dense = tensor if tensor.layout is torch.strided else tensor.to_dense()
    dense = dense.detach().resolve_conj().resolve_neg().clone(memory_format=torch.contiguous_format)
    return tuple(dense.shape), bytes(dense.reshape(-1).view(torch.uint8).tolist())


def outcome(call, given, leaves, *, grad):
    """All that a call and its backward pass return, as bits, or the error that it raises."""
    try:
        with torch.set_grad_enabled(grad):
            found = [
                t for t in tensors_in(call(*given.args, **given.kwargs)) if t.is_floating_point() or t.is_complex()
            ]
        asking = [t.abs().sum() if t.is_complex() else t.sum() for t in found if t.requires_grad]
        if asking:
            sum(asking).backward()
        found += [leaf.grad for leaf in leaves if leaf.is_leaf and leaf.grad is not None]
        return [bits(t) for t in found], bits(torch.rand(2))
    except Exception as error:  # noqa: BLE001 - some samples are meant to fail
        return type(error), str(error)


def of_module(info, *, training, grad):
    torch.manual_seed(0)
    samples = info.module_inputs_func(info, device="cpu", dtype=torch.float32, requires_grad=grad, training=training)
    said = []
    for sample in itertools.islice(samples, SAMPLES):
        made, given = sample.constructor_input, sample.forward_input
        torch.manual_seed(1)
        module = info.module_cls(*made.args, **made.kwargs).train(training)
        if given is not None:
            said.append(outcome(module, given, [*module.parameters(), *tensors_in(given.args)], grad=grad))
    return said


def of_operation(op):
    torch.manual_seed(0)
    samples = op.sample_inputs("cpu", torch.float32, requires_grad=op.supports_autograd)
    said = []
    for sample in itertools.islice(samples, SAMPLES):
        torch.manual_seed(1)
        said.append(outcome(functools.partial(op, sample.input), sample, tensors_in(sample.input), grad=True))
    return said


def compare(run, name):
    """Once without gradscope and once traced. What differs must be something that torch itself does not repeat.

    LAPACK's results differ in the last bits with where its arguments lie in memory: then the traced outcome has to be
    one of those that come without gradscope when they lie elsewhere.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plain = run()
        warnings.filterwarnings("error", message="gradscope.*")
        with Session() as session:
            traced = run()
            notes = session.report().run.notes
        elsewhere, kept = [], []
        while traced != plain and traced not in elsewhere and len(elsewhere) < AGAIN:
            kept += [torch.empty(7 * len(elsewhere) + 3), bytearray(13 * len(elsewhere))]
            elsewhere.append(run())
    assert traced in (plain, *elsewhere), name
    assert not [note for note in notes if "failed" in note], name


@pytest.mark.parametrize("info", modules, ids=lambda info: info.name)
def test_a_module_computes_the_same_traced(info):
    for training, grad in itertools.product((True, False), repeat=2):
        compare(functools.partial(of_module, info, training=training, grad=grad), info.name)


@pytest.mark.parametrize("first", range(0, len(operations), CHUNK))
def test_operations_compute_the_same_traced(first):
    for op in operations[first : first + CHUNK]:
        returns_memory = "empty" in op.name or op.name.startswith("resize")  # that nobody has written
        if torch.float32 in op.dtypes and not returns_memory:
            compare(functools.partial(of_operation, op), f"{op.name} {op.variant_test_name}")
