"""The pages in docs say what works: their configuration is read, their commands and imports exist."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from gradscope.cli.main import build_parser
from gradscope.config import read_config
from gradscope.selection import resolved

DOCS = sorted((Path(__file__).parents[1] / "docs").glob("*.md"))
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(path, language):
    return [code for kind, code in BLOCK.findall(path.read_text(encoding="utf-8")) if kind == language]


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_configuration_is_read(path, tmp_path):
    for table in blocks(path, "toml"):
        (tmp_path / "pyproject.toml").write_text(table, encoding="utf-8")
        resolved(read_config(tmp_path))


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_commands_are_understood(path):
    shown = path.read_text(encoding="utf-8")
    commands = re.findall(r"gradscope ((?:check|run|report|compare|rules|demo) [^`|#\n]*)", shown)
    for command in commands:
        build_parser().parse_args(command.split())


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_code_compiles_and_its_imports_exist(path):
    for code in blocks(path, "python"):
        if not code.lstrip().startswith("%"):
            compile(code, path.name, "exec")
        for module in re.findall(r"^from (gradscope\.[\w.]+) import", code, re.MULTILINE):
            try:
                importlib.import_module(module)
            except ModuleNotFoundError as error:
                if str(error.name).startswith("gradscope"):
                    raise
