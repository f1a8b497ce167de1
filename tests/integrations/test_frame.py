"""A report as a frame of the real pandas and polars."""

from __future__ import annotations

import sys

import pytest
import torch
from torch import nn

import gradscope


@pytest.fixture
def report():
    encoder, decoder = nn.Linear(4, 3), nn.Linear(3, 1)
    optimizer = torch.optim.SGD([*encoder.parameters(), *decoder.parameters()], 0.1)
    with gradscope.watch(encoder=encoder, decoder=decoder) as scope:
        for _ in range(3):
            optimizer.zero_grad()
            decoder(encoder(torch.ones(2, 4)).detach()).sum().backward()
            optimizer.step()
    return scope.report()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_pandas(report):
    pandas = pytest.importorskip("pandas")
    frame = report.to_frame()

    assert isinstance(frame, pandas.DataFrame)
    assert frame.groupby("model")["backwards"].max().to_dict() == {"decoder": 3, "encoder": 0}
    assert frame.loc[frame.model == "encoder", "grad_norm"].isna().all()


def test_polars_where_there_is_no_pandas(report, monkeypatch):
    polars = pytest.importorskip("polars")
    monkeypatch.setitem(sys.modules, "pandas", None)
    frame = report.to_frame()

    assert isinstance(frame, polars.DataFrame)
    assert frame.filter(polars.col("state") == "none")["model"].to_list() == ["encoder", "encoder"]
    assert frame["grad_norm"].null_count() == 2
