"""Numbers that reports and pictures say, against plain arithmetic and plain autograd."""

from __future__ import annotations

import math
import statistics

import pytest
import torch
from torch import nn

import gradscope
from gradscope.records.sizes import median
from gradscope.session import Session


@pytest.mark.parametrize("numbers", [[3.0], [1.0, 2.0], [5.0, 1.0, 3.0], [4.0, 1.0, 3.0, 2.0]])
def test_a_median_is_the_median(numbers):
    assert median(numbers) == statistics.median(numbers)


def test_nan_and_inf_are_at_the_upper_end():
    assert median([math.nan, 1.0, 2.0]) == 2.0
    assert not math.isfinite(median([math.nan, math.inf, 2.0]))
    assert median([]) is None


def test_what_was_zero_before_has_no_ratio_of_its_update():
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    nn.init.zeros_(model.bias)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with Session() as session:
        for _ in range(3):
            optimizer.zero_grad()
            model(torch.randn(8, 3)).sub(1).square().mean().backward()
            optimizer.step()
    report = session.report()
    ax = report.plot_updates().axes[0]

    assert math.isinf(report.run.updates[0].ratios[report.run.models[0].parameters[1]])
    assert not any("NaN" in text.get_text() for text in ax.get_legend().get_texts())


def test_a_gradient_far_below_what_squares_in_float32_is_not_zero():
    torch.manual_seed(0)
    encoder, head = nn.Linear(4, 4), nn.Linear(4, 1)
    optimizer = torch.optim.SGD([*encoder.parameters(), *head.parameters()], lr=0.1)
    with Session() as session:
        for _ in range(5):
            optimizer.zero_grad()
            head(torch.tanh(encoder(torch.randn(8, 4)) * 1e-24)).sub(1).square().mean().backward()
            optimizer.step()
    report = session.report()

    assert encoder.weight.grad.count_nonzero() == encoder.weight.numel()
    assert not [f for f in report.findings if f.code == "GS201"]
    assert {f.code for f in report.findings if f.model == "encoder"} == {"GS401"}


def test_the_step_of_a_nan_is_that_of_the_model_that_is_told():
    torch.manual_seed(0)
    encoder, decoder = nn.Linear(4, 4), nn.Linear(4, 4)
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=0.01)
    first: dict[str, int] = {}
    with Session() as session:
        for turn in range(9):
            hidden = encoder(torch.randn(8, 4))
            loss = decoder(hidden).square().mean()
            if turn == 4:
                loss = loss + torch.sqrt((hidden * 0).sum())
            optimizer.zero_grad()
            loss.backward()
            for name, model in (("encoder", encoder), ("decoder", decoder)):
                if not model.weight.grad.isfinite().all():
                    first.setdefault(name, turn)
            optimizer.step()
    told = {f.model: f for f in session.report().findings if f.code == "GS301"}

    assert first == {"encoder": 4, "decoder": 5}
    assert {name: finding.steps[0] for name, finding in told.items()} == first
    assert "at step 5, after others at step 4" in told["decoder"].message


def test_what_has_stopped_does_not_flow_and_its_card_leads_to_the_finding(tmp_path):
    torch.manual_seed(0)
    encoder, head = nn.Linear(3, 4), nn.Linear(4, 1)
    optimizer = torch.optim.SGD([*encoder.parameters(), *head.parameters()], lr=0.01)

    def turn(number: int) -> None:
        hidden = encoder(torch.randn(8, 3))
        optimizer.zero_grad()
        head(hidden.detach() if number > 2 else hidden).square().mean().backward()
        optimizer.step()

    with Session() as session:
        for number in range(16):
            turn(number)
    report = session.report()
    summary = {model.name: model for model in report.models}
    page = report.save(tmp_path / "page.html").read_text()
    card = next(part for part in page.split("<article")[1:] if "<code>encoder</code>" in part)

    assert (summary["encoder"].flowing, summary["head"].flowing) == (0, 2)
    assert "GS104 intermittent</a>" in card.split("</article>")[0]


def test_frozen_is_not_called_cut_in_the_graph():
    torch.manual_seed(0)
    backbone, head = nn.Sequential(nn.Linear(3, 4), nn.ReLU()), nn.Linear(4, 1)
    backbone.requires_grad_(False)
    optimizer = torch.optim.SGD(head.parameters(), lr=0.01)

    def step() -> None:
        optimizer.zero_grad()
        head(backbone(torch.randn(8, 3))).square().mean().backward()
        optimizer.step()

    source = gradscope.explain(step, models={"backbone": backbone, "head": head}).graph().source
    boxes = [line for line in source.splitlines() if line.strip().startswith("n")]
    frozen = [line for line in boxes if "frozen<" in line]

    assert len(frozen) == 1
    assert "Linear<" in frozen[0]
    assert not any("no gradient<" in line for line in boxes)
