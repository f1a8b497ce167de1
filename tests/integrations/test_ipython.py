"""`%%gradscope` in a real IPython shell."""

from __future__ import annotations

import textwrap

import pytest

from gradscope.errors import GradscopeError

pytestmark = pytest.mark.filterwarnings("ignore")

CELL = textwrap.dedent("""
    import torch
    from torch import nn
    encoder, decoder = nn.Linear(4, 3), nn.Linear(3, 1)
    optimizer = torch.optim.SGD([*encoder.parameters(), *decoder.parameters()], 0.1)
    for _ in range(3):
        optimizer.zero_grad()
        hidden = encoder(torch.ones(2, 4)).detach()
        decoder(hidden).sum().backward()
        optimizer.step()
""")


@pytest.fixture
def shell():
    testing = pytest.importorskip("IPython.testing.globalipapp")
    shell = testing.get_ipython() or testing.start_ipython()
    shell.run_line_magic("load_ext", "gradscope")
    yield shell
    shell.reset()


def test_cell_is_run_and_reported(shell):
    report = shell.run_cell_magic("gradscope", "", CELL)

    assert [model.name for model in report.models] == ["encoder", "decoder"]
    assert {f.model for f in report.findings if f.severity == "error"} == {"encoder"}
    assert report.findings[0].location.text == "hidden = encoder(torch.ones(2, 4)).detach()"
    assert "encoder" in shell.user_ns


def test_report_is_stored_where_asked(shell):
    shell.run_cell_magic("gradscope", "--to found", CELL)

    assert shell.user_ns["found"].run.backwards == 3


def test_cell_that_fails_still_shows_its_traceback(shell, capsys):
    shell.run_cell_magic("gradscope", "--to found", CELL + "raise ValueError('mine')\n")

    assert "ValueError: mine" in capsys.readouterr().out
    assert shell.user_ns["found"].run.backwards == 3


def test_wrong_option_is_one_sentence(shell):
    from gradscope.integrations.ipython import run_cell

    with pytest.raises(GradscopeError, match="unrecognized arguments: --nonsense"):
        run_cell(shell, "--nonsense", "1")
