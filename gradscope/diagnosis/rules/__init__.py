"""The rules, in the order in which they are applied."""

from __future__ import annotations

from gradscope.diagnosis.finding import Rule

RULES: tuple[Rule, ...] = ()
