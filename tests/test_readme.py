"""The README shows what is true."""

from __future__ import annotations

import os
import re
import runpy
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from case_runner import CASES, Server

from gradscope.cli.main import COMMANDS

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MAKE = runpy.run_path(str(ROOT / "assets" / "make.py"))


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.mark.parametrize("name", ["example", "rules", "tested"])
def test_part_is_what_make_writes(name: str) -> None:
    """`python assets/make.py` writes them."""
    assert MAKE["insert"](README, name, MAKE["PARTS"][name]()) == README


@pytest.mark.skipif(not hasattr(os, "fork"), reason="cases run in forked processes")
def test_gallery_is_what_is_found(server: Server) -> None:
    cells = [MAKE["gallery_cell"](case, server.findings(CASES / case, "train.py")) for case in MAKE["GALLERY"]]

    assert MAKE["insert"](README, "gallery", MAKE["gallery_table"](cells)) == README


def test_commands_are_those_there_are() -> None:
    shown = set(re.findall(r"`gradscope (\w+)", README))

    assert {command.__name__.rpartition(".")[2] for command in COMMANDS} <= shown


def test_is_short_and_its_links_lead_somewhere() -> None:
    assert len(README.splitlines()) <= 150
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)|src=\"([^\"]+)\"", README):
        path = "".join(target)
        assert (ROOT / path).exists(), path
