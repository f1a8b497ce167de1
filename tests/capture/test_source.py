"""Whose line it is: the user's, a library's, or that of a launcher."""

from __future__ import annotations

import sysconfig
from pathlib import Path

import pytest

from gradscope.capture.source import is_library

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
