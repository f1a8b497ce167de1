"""On a dark page every colour that a graph writes with, or lays under writing, is exchanged."""

from __future__ import annotations

import re

from builders import sick_report

from gradscope.render.night import graph_rules
from gradscope.render.palette import PAPER, TEXT

_LIGHT = 0.8
"""Relative luminance above which a ground is light; the boxes of live modules are below, and keep their ink."""


def luminance(colour: str) -> float:
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_grounds_and_titles_of_models_are_exchanged() -> None:
    dot = sick_report().graph().source
    rules = graph_rules(".paper")
    titles = re.findall(r't\d+ \[label=.*?fontcolor="(#\w+)"', dot)
    grounds = re.findall(r'graph \[label="".*?fillcolor="(#\w+)"', dot)
    assert len(titles) == len(grounds) > 1
    for colour in (*titles, *grounds, TEXT):
        assert f'.paper [fill="{colour}" i]' in rules
    for ground in grounds:
        (new,) = re.findall(rf'\.paper \[fill="{ground}" i\]{{fill:(#\w+)', rules)
        assert luminance(new) < luminance(TEXT) < _LIGHT < luminance(ground)


def test_a_hollow_line_is_exchanged_but_no_white_box() -> None:
    rules = graph_rules(".paper")
    assert f'.paper [stroke="{PAPER}" i]' in rules
    assert f'.paper [fill="{PAPER}" i]' not in rules


def test_no_two_rules_change_one_colour() -> None:
    selectors = re.findall(r"(\.paper \[fill=\"#\w+\" i\]){", graph_rules(".paper"))
    assert len(selectors) == len(set(selectors)) > 10
