"""The options that say which findings count; pyproject.toml says what they leave open."""

from __future__ import annotations

import dataclasses
from argparse import ArgumentParser, Namespace
from pathlib import Path

from gradscope.config import SEVERITIES, Config, read_config


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--fail-on", choices=SEVERITIES, help="the least severity that fails (error)")
    parser.add_argument("--select", metavar="CODES", type=_names, help="only these rules: GS101,GS2,zero-gradient")
    parser.add_argument(
        "--ignore", metavar="CODES", type=_names, help="not these; the beginning of a code names a family"
    )
    parser.add_argument(
        "--expect-no-grad", metavar="NAMES", type=_names, help="models that are meant to get no gradient: teacher,ema"
    )
    parser.add_argument("--baseline", metavar="FILE", help="let pass the findings that FILE lists")


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def complete(args: Namespace) -> Config:
    """What the command line says, and pyproject.toml where it does not."""
    from gradscope.selection import resolved

    config = read_config(Path.cwd())
    said = {
        field.name: value for field in dataclasses.fields(config) if (value := getattr(args, field.name)) is not None
    }
    return resolved(dataclasses.replace(config, **said))
