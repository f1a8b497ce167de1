"""The Markdown report."""

from __future__ import annotations

import re

import builders
import pytest

from gradscope.render.escape import longest_run, markdown, markdown_code
from gradscope.render.markdown import render_markdown


@pytest.mark.parametrize("name", ["healthy", "sick", "gan"])
def test_markdown_is_as_agreed(name, golden):
    golden(f"{name}.md", render_markdown(getattr(builders, f"{name}_report")()))


def test_every_table_row_has_as_many_cells_as_its_heading(hostile):
    for table in re.findall(r"(?:^\|.*\n)+", render_markdown(builders.hostile_report(hostile)), re.MULTILINE):
        cells = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}

        assert len(cells) == 1


def test_hostile_names_stay_text(hostile):
    text = render_markdown(builders.hostile_report(hostile))
    outside = re.sub(r"(`+)[^\n]*?[^`]\1(?!`)|```python\n.*?\n```", "", text, flags=re.DOTALL)
    text.encode("utf-8")

    assert set(re.findall(r"<[^>]*>", outside)) <= {"<code>", "</code>"}
    assert not re.search(r"(?<!\\)\](?<!\\)\(", outside)
    assert "@user" not in outside


@pytest.mark.parametrize("text", ["a`b", "``", "`", "", "a``b`c", "`x`"])
def test_a_code_span_holds_any_backticks(text):
    span = markdown_code(text)
    fence = longest_run(span, "`")

    assert span.startswith("`" * fence)
    assert span.endswith("`" * fence)
    assert longest_run(text, "`") < fence


def test_punctuation_is_escaped():
    assert markdown("a_b*c|d") == "a\\_b\\*c\\|d"
