"""The one place where foreign text (names, files, source lines, messages) is made safe for an output.

* Names come from user programs: they may hold quotes, tags, newlines, terminal codes, or bytes that are not text.
* `plain` comes first for every output: it makes control and unpaired characters visible, so that a name can
  neither move the cursor nor break a line, and so that every output can be encoded.
"""

from __future__ import annotations

import html as _html
import re
import unicodedata

_SPACE = re.compile(r"\s+")
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_MARKDOWN = str.maketrans({c: f"\\{c}" for c in "\\`*_[]|~#$"} | {"<": "&lt;", ">": "&gt;", "&": "&amp;"})
_MARKDOWN_IN_HTML = str.maketrans({c: f"&#{ord(c)};" for c in "\\`*_[]~$@|"})


def plain(text: str) -> str:
    """One line of visible characters: what cannot be seen is written as its escape."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_visible(c) if unicodedata.category(c) in _HIDDEN else c for c in text)


def paragraph(text: str) -> str:
    """Like `plain`, for running text: line breaks become spaces."""
    return plain(" ".join(text.split()))


def html(text: str) -> str:
    """Text for an HTML element or a quoted attribute."""
    return _html.escape(plain(text), quote=True)


def markdown(text: str) -> str:
    """Text for a Markdown paragraph or table cell."""
    return plain(_SPACE.sub(" ", text)).translate(_MARKDOWN).replace("://", ":&#47;/").replace("@", "&#64;")


def markdown_code(text: str) -> str:
    """Text as a Markdown code span, for anywhere but a table."""
    shown = plain(text)
    fence = "`" * (longest_run(shown, "`") + 1)
    pad = " " if shown.startswith("`") or shown.endswith("`") or not shown else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def markdown_cell_code(text: str) -> str:
    """Text as code in a Markdown table, as HTML: a pipe or backtick in a code span would end the cell."""
    return f"<code>{html(text).translate(_MARKDOWN_IN_HTML)}</code>"


def markdown_prose(text: str) -> str:
    """A message for Markdown: what it has in backticks stays code."""
    return "".join(markdown_code(part) if code else markdown(part) for code, part in prose(text))


def prose(text: str) -> list[tuple[bool, str]]:
    """A message split into (is code, text): code is what stands in a pair of backticks."""
    parts = " ".join(text.split()).split("`")
    if len(parts) % 2 == 0:
        return [(False, "`".join(parts))]
    return [(i % 2 == 1, part) for i, part in enumerate(parts) if part]


def longest_run(text: str, char: str) -> int:
    """Length of the longest run of a character: a fence must be longer."""
    longest = current = 0
    for each in text:
        current = current + 1 if each == char else 0
        longest = max(longest, current)
    return longest


def _visible(char: str) -> str:
    if char == "\t":
        return "    "
    return char.encode("unicode_escape").decode("ascii")
