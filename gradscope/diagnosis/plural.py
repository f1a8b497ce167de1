"""Sentences about one parameter or module, said of several."""

from __future__ import annotations

import re


def plural(says: str) -> str:
    """What several parameters do: "get" for "gets"."""
    verb, _, rest = says.partition(" ")
    return f"{ {'is': 'are', 'does': 'do'}.get(verb, verb.removesuffix('s')) } {rest}"


def in_plural(said: str) -> str:
    """A cause in words, said of several parameters: "they get" for "it gets"."""
    said = re.sub(r"\bit is\b", "they are", said)
    said = re.sub(r"\bit (never )?(\w+)s\b", lambda m: f"they {m[1] or ''}{m[2]}", said)
    return re.sub(r"\bit\b", "them", re.sub(r"\bits\b", "their", said))
