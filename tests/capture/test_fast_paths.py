"""In eval mode and without gradients torch computes transformers by fused kernels, traced or not."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import nn, overrides

import gradscope
from gradscope.session import Session


def encoder(*, layers=2):
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return nn.TransformerEncoder(layer, layers)


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x, **masks):
        return self.inner(x, x, x, need_weights=False)[0]


def losses(teacher_of, mask, steps=6):
    """What a student of such a teacher loses: the last bits of what the teacher says come back in it."""
    torch.manual_seed(0)
    teacher, student = teacher_of().eval().requires_grad_(False), nn.Linear(8, 8)
    optimizer = torch.optim.SGD(student.parameters(), 0.1)
    said = []
    for _ in range(steps):
        x = torch.randn(4, 6, 8)
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that nested tensors are new
            target = teacher(x, src_key_padding_mask=mask) if mask is not None else teacher(x)
        loss = nn.functional.mse_loss(student(x), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        said.append((loss.item(), target.sum().item()))
    return said


PADDING = torch.arange(6).repeat(4, 1) >= torch.tensor([[6], [3], [5], [2]])


@pytest.mark.parametrize("mask", [None, PADDING], ids=["whole", "padded"])
@pytest.mark.parametrize("teacher_of", [encoder, Attention])
def test_a_teacher_says_the_same_traced(teacher_of, mask, recwarn):
    plain = losses(teacher_of, mask)
    with Session() as session:
        traced = losses(teacher_of, mask)
        report = session.report()

    assert traced == plain
    assert report.run.traced
    assert not report.findings
    assert not [each for each in recwarn if "gradscope" in str(each.message)]


def test_what_torch_asks_is_torchs_own_again():
    before = overrides.has_torch_function
    with Session():
        assert overrides.has_torch_function is not before
        losses(encoder, None, steps=2)
    assert overrides.has_torch_function is before


def test_a_student_under_no_grad_is_told_through_the_fused_kernel():
    torch.manual_seed(0)
    body, head = encoder(layers=1).eval(), nn.Linear(8, 1)
    optimizer = torch.optim.SGD([*body.parameters(), *head.parameters()], 0.1)

    def step():
        with torch.no_grad():  # here
            hidden = body(torch.randn(4, 6, 8))
        optimizer.zero_grad()
        head(hidden).pow(2).mean().backward()
        optimizer.step()

    (finding,) = gradscope.explain(step, repeat=4, models={"body": body, "head": head}).findings

    assert (finding.code, finding.model, finding.cause) == ("GS101", "body", "no_grad")
    assert finding.location.text.endswith("# here")
