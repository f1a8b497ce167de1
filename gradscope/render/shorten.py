"""Names that are too long for their place: what tells one from another stays, numbers first of all."""

from __future__ import annotations

import re

ELLIPSIS = "\u2026"
_KEPT = 1
"""Letters that stay of a part that is cut short."""


def shorten(text: str, most: int) -> str:
    """At most so many characters (not fewer than 3): of `blocks.11.attention.proj.weight` the front parts give way.

    The numbers of layers and the last part are what tells parameters apart. Where that is not enough, and in text
    that is no dotted name, the middle is left out: of a name the front gets a third, as ends differ more, of code half.
    """
    if len(text) <= most:
        return text
    parts = text.split(".")
    if all(re.fullmatch(r"\w+", part) for part in parts):
        for position, part in enumerate(parts[:-1]):
            if len(".".join(parts)) <= most:
                break
            if len(part) > _KEPT + 1 and not part.isdigit():
                parts[position] = part[:_KEPT] + ELLIPSIS
        if len(short := ".".join(parts)) <= most:
            return short
    front = max(most - 1, 2) // (2 if " " in text else 3)
    return f"{text[:front]}{ELLIPSIS}{text[front + 1 - most :]}"
