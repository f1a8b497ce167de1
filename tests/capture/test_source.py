"""Which files are the user's."""

from __future__ import annotations

import os
import sysconfig

import pytest
import torch

from gradscope.capture.source import is_library

COMMANDS = sysconfig.get_path("scripts")


@pytest.mark.parametrize(
    ("file", "library"),
    [
        (torch.__file__, True),
        (os.path.join(COMMANDS, "gradscope"), True),
        (os.path.join(COMMANDS, "train.py"), False),
        ("train.py", False),
        ("<string>", False),
        ("<frozen runpy>", True),
    ],
)
def test_what_is_a_library(file: str, library: bool) -> None:
    assert is_library(file) is library
