"""Whose line it is: the user's, a library's, or that of a launcher."""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path

import pytest
import torch
from torch.overrides import TorchFunctionMode

from gradscope.capture.source import is_library, library_line, snapshot

SCRIPTS = Path(sysconfig.get_paths()["scripts"])


@pytest.mark.parametrize(
    ("path", "library"),
    [
        (SCRIPTS / "pytest", True),
        (SCRIPTS / "train.py", False),
        (SCRIPTS.parent / "train.py", False),
        (Path(sysconfig.get_paths()["purelib"]) / "package" / "module.py", True),
        (Path(sysconfig.get_paths()["stdlib"]) / "runpy.py", True),
    ],
)
def test_whose_file_it_is(path, library):
    assert is_library(str(path)) is library


def test_torchs_way_to_a_mode_is_no_library_line():
    """An operation on a Parameter reaches a mode through torch/overrides.py; one inside a module is that module's."""
    seen = []

    class Mode(TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            seen.append(library_line(snapshot(sys._getframe(1))))
            return func(*args, **(kwargs or {}))

    layer = torch.nn.Linear(2, 2)
    with Mode():
        torch.nn.functional.softmax(layer.weight, 0)
        own = list(seen)
        layer(torch.ones(1, 2))

    assert not any("overrides" in line for line in seen)
    assert own
    assert any("linear.py" in line for line in seen)


def test_what_calls_the_runner_of_pytest_is_not_the_users():
    """A worker of xdist runs strings, which look like the user's."""
    stacks = []

    def its_test():
        stacks.append(snapshot(sys._getframe()))

    exec(compile("its_test()", "/site-packages/_pytest/runner.py", "exec"), {"its_test": its_test})

    assert [code.co_name for code, _ in stacks[0].frames] == ["its_test"]
