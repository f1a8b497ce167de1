"""A run captured from torch, traced, survives the file and is diagnosed the same."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gradscope.compare import compare
from gradscope.report import Report
from gradscope.runfile import read_run, write_run
from gradscope.session import Session


def train(cut: bool) -> Report:
    torch.manual_seed(0)
    with Session(discover=True) as session:
        encoder, decoder = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)), nn.Linear(3, 1)
        optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()])
        for step in range(6):
            optimizer.zero_grad()
            hidden = encoder(torch.randn(2, 4))
            decoder(hidden.detach() if cut and step > 2 else hidden).square().mean().backward()
            optimizer.step()
        return session.report()


@pytest.mark.parametrize("cut", [True, False])
def test_captured_run_comes_back_equal(cut, tmp_path):
    report = train(cut)
    write_run(tmp_path / "run.gradscope", report.run)
    back = read_run(tmp_path / "run.gradscope")

    assert back == report.run
    assert Report(back).findings == report.findings


def test_captured_runs_are_compared():
    encoder, decoder = compare(train(False).run, train(True).run).models

    # The fourth turn of the loop; where steps are inferred, its backward comes before the end of the third is seen.
    assert encoder.differs_since in (2, 3)
    assert decoder.differs_since is None
