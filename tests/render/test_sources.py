"""Source lines around blamed lines."""

from __future__ import annotations

import builders

from gradscope.records import Location
from gradscope.render.sources import excerpt, read_sources


def test_files_are_read_as_the_report_calls_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "extractor.py").write_bytes(b"a\n\xff\n")

    assert read_sources(builders.sick_report()) == {"extractor.py": "a\n\ufffd\n"}


def test_missing_and_impossible_files_are_left_out(tmp_path, monkeypatch, hostile):
    monkeypatch.chdir(tmp_path)

    assert read_sources(builders.hostile_report(hostile)) == {}


def test_an_excerpt_keeps_relative_indentation_and_drops_the_common_one():
    place = Location("m.py", 3, text="return 1")
    source = "class A:\n    def f(self):\n\n        return 1\n    x = 2\n"

    assert excerpt(Location("m.py", 4, text="return 1"), {"m.py": source}) == [
        (2, "def f(self):"),
        (3, ""),
        (4, "    return 1"),
        (5, "x = 2"),
    ]
    assert excerpt(place, {"m.py": source}) == [(3, "return 1")]


def test_a_line_without_text_and_file_has_no_excerpt():
    assert excerpt(Location("<stdin>", 1), {}) == []
