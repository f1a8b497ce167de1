"""`# gradscope: ...` in the user's source lets pass what it stands at, and nothing else."""

from __future__ import annotations

import ast
import runpy

import pytest
import torch

import gradscope
from gradscope.capture.declarations import _statement
from gradscope.report import Report
from gradscope.runfile import read_run
from gradscope.session import Session

SCRIPT = """\
import torch
from torch import nn
{above_build}
encoder = nn.Linear(4, 4){build}
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(4, 1)
        self.pooler = nn.Linear(1, 1){pooler}
    def forward(self, x):
        return self.body(x)
net = Net()
optimizer = torch.optim.SGD([*encoder.parameters(), *net.parameters()], 0.1)
for _ in range(3):
    optimizer.zero_grad()
    {above}
    hidden = torch.tanh(
        encoder(torch.ones(2, 4)).detach(){cut}
    )
    net(hidden).square().mean().backward(){other}
    optimizer.step()
"""
PLACES = ("above_build", "build", "pooler", "above", "cut", "other")
MEANT = "  # gradscope: expect-no-grad"


def report_of(tmp_path, to=None, **comments):
    path = tmp_path / f"train{len(list(tmp_path.iterdir()))}.py"  # python reads a file of one name once
    path.write_text(SCRIPT.format(**dict.fromkeys(PLACES, "") | comments))
    with Session(to=to) as session:
        session.read_namespace(runpy.run_path(str(path), run_name="__main__"))
    return session.report(script="train.py")


def told(report):
    return sorted((finding.code, finding.model) for finding in report.findings)


CUT, POOLER = ("GS101", "encoder"), ("GS102", "net")


def test_without_a_declaration_all_is_told(tmp_path):
    assert told(report_of(tmp_path)) == [CUT, POOLER]


@pytest.mark.parametrize("where", ["above", "cut", "above_build", "build"])
def test_declared_stop_is_no_finding(where, tmp_path):
    """At the statement to blame or at the one that builds the model, on it or above it; the other finding stays."""
    assert told(report_of(tmp_path, **{where: MEANT.strip() if where.startswith("above") else MEANT})) == [POOLER]


BODIES = """\
import torch
from torch import nn
encoder, head = nn.Linear(4, 4), nn.Linear(4, 1)
optimizer = torch.optim.SGD([*encoder.parameters(), *head.parameters()], 0.1)
{opening}
"""
OPENINGS = {
    "for": """\
for _ in range(
    3
):
    # gradscope: expect-no-grad
    hidden = encoder(torch.ones(2, 4)).detach()
    head(hidden).sum().backward()
    optimizer.step()
    optimizer.zero_grad()""",
    "def": """\
def train(
    steps: int = 3,
) -> None:
    # gradscope: expect-no-grad
    hidden = encoder(torch.ones(2, 4)).detach()
    head(hidden).sum().backward()
    optimizer.step()
    optimizer.zero_grad()
train()
train()""",
    "with": """\
for _ in range(3):
    with torch.enable_grad(), torch.autograd.set_detect_anomaly(False):
        # gradscope: expect-no-grad
        hidden = encoder(torch.ones(2, 4)).detach()
        head(hidden).sum().backward()
    optimizer.step()
    optimizer.zero_grad()""",
    "else": """\
for i in range(3):
    if i < 0:
        pass
    else:
        # gradscope: expect-no-grad
        hidden = encoder(torch.ones(2, 4)).detach()
        head(hidden).sum().backward()
    optimizer.step()
    optimizer.zero_grad()""",
}


@pytest.mark.parametrize("opening", OPENINGS)
def test_above_the_first_statement_of_a_block(opening, tmp_path):
    path = tmp_path / f"body_{opening}.py"
    path.write_text(BODIES.format(opening=OPENINGS[opening]))
    with Session() as session:
        session.read_namespace(runpy.run_path(str(path), run_name="__main__"))

    assert told(session.report(script="train.py")) == []


def test_in_the_head_of_a_block_it_is_about_the_head():
    source = "for i in range(\n    # gradscope: expect-no-grad\n    3,\n):\n    x = i\n"

    assert _statement(ast.parse(source), 2, alone=True)[:2] == (1, 4)


def test_declared_part_of_a_model(tmp_path):
    assert told(report_of(tmp_path, pooler=MEANT)) == [CUT]
    assert report_of(tmp_path, pooler=MEANT, cut=MEANT).findings == ()


def test_unused_declaration_is_told(tmp_path):
    report = report_of(tmp_path, cut=MEANT, pooler=MEANT, other=MEANT)

    assert told(report) == [("GS701", "")]
    (finding,) = report.findings
    assert (finding.severity.value, finding.location.line) == ("info", 20)
    assert report.ok
    assert "lets nothing pass" in str(report)


@pytest.mark.parametrize(
    ("comment", "left"),
    [
        ("  # gradscope: ignore[GS101]", [POOLER]),
        ("  # gradscope: ignore[GS5, gs1]", [POOLER]),
        ("  # gradscope: ignore[GS504]", [CUT, POOLER, ("GS701", "")]),
        ("  # gradscope: ignore[GS999]", [CUT, POOLER, ("GS701", "")]),
        ("  # gradscope: ignore[no-gradient]", [POOLER]),
        ("  # gradscope: ignore", [CUT, POOLER, ("GS701", "")]),
        ("  # gradscope: expect-no-grad[GS102]", [CUT, POOLER, ("GS701", "")]),
        ("  # gradscope: expect-nothing", [CUT, POOLER, ("GS701", "")]),
        ("  # noqa: E501  # gradscope is great", [CUT, POOLER]),
    ],
)
def test_what_a_declaration_lets_pass(comment, left, tmp_path):
    assert told(report_of(tmp_path, cut=comment)) == left


def test_text_that_is_no_comment_declares_nothing(tmp_path):
    assert told(report_of(tmp_path, above=f"'{MEANT.strip()}'")) == [
        CUT,
        POOLER,
    ]


def test_declarations_are_in_the_run_file(tmp_path):
    report_of(tmp_path, to=tmp_path / "run.gradscope", cut=MEANT)
    next(tmp_path.glob("*.py")).unlink()

    assert told(Report(read_run(tmp_path / "run.gradscope"))) == [POOLER]


def test_a_name_declared_in_another_file_is_another_model(tmp_path):
    """As in a suite: one test declares its encoder, and another one watches an encoder of its own."""
    report_of(tmp_path, cut=MEANT, build=MEANT)
    encoder, head = torch.nn.Linear(4, 4), torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD([*encoder.parameters(), *head.parameters()], 0.1)
    with gradscope.watch(encoder=encoder, head=head) as scope:
        for _ in range(4):
            optimizer.zero_grad()
            head(encoder(torch.ones(2, 4)).detach()).mean().backward()
            optimizer.step()

    assert told(scope.report()) == [CUT]
