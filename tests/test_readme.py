"""The README shows what is true."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

from gradscope.cli.main import COMMANDS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_rules_are_those_there_are():
    """`python assets/make.py` writes them."""
    make = runpy.run_path(str(ROOT / "assets" / "make.py"))

    assert make["insert"](README, "rules", make["rules"]()) == README


def test_commands_are_those_there_are():
    shown = set(re.findall(r"`gradscope (\w+)", README))

    assert {command.__name__.rpartition(".")[2] for command in COMMANDS} <= shown


def test_is_short_and_its_links_lead_somewhere():
    assert len(README.splitlines()) <= 150
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
