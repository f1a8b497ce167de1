"""A missing, failing or slow Graphviz costs the picture, never the program."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import time
from pathlib import Path

import pytest

from gradscope.render import engine
from gradscope.render.graph import Drawing, draw_graph
from tests.render import graph_builders as build

SOURCE = "digraph { a -> b }"
no_scripts = pytest.mark.skipif(os.name == "nt", reason="fakes dot with a shell script")
bundled = pytest.mark.skipif(not importlib.util.find_spec("pygraphviz"), reason="pygraphviz is not installed")


@pytest.fixture
def only_dot(monkeypatch):
    monkeypatch.setattr(engine.importlib.util, "find_spec", lambda name: None)


@pytest.fixture
def no_dot(monkeypatch):
    monkeypatch.setenv("PATH", "")


@pytest.fixture(autouse=True)
def nothing_hung_before(monkeypatch):
    monkeypatch.setattr(engine, "_hanging", set())


def fake_dot(folder, monkeypatch, body):
    script = folder / "dot"
    script.write_text(f"#!/bin/sh\n{body}\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


@pytest.mark.parametrize("form", ["svg", "png", "pdf"])
@pytest.mark.skipif(not shutil.which("dot"), reason="no dot on PATH")
def test_system_dot(only_dot, form):
    assert engine.layout(SOURCE, form).data


@bundled
@pytest.mark.parametrize("form", ["svg", "png", "pdf"])
def test_bundled_engine_without_dot(no_dot, form):
    assert engine.layout(SOURCE, form).data


@bundled
def test_bundled_engine_draws_what_dot_draws(no_dot):
    drawing = draw_graph(build.hostile())

    assert drawing.reason is None
    assert drawing.png().startswith(b"\x89PNG")


def test_no_engine_gives_the_text_and_one_sentence(no_dot, only_dot, tmp_path):
    drawing = draw_graph(build.two_model_cut())

    assert (drawing.svg(), drawing.png()) == (None, None)
    assert drawing.reason == (
        "No picture: Graphviz is not installed (`pip install pygraphviz`, or the system's graphviz)."
    )
    assert drawing._repr_mimebundle_() == {"text/plain": f"{drawing.reason}\n\n{drawing.source}"}
    with pytest.warns(UserWarning, match="The DOT text is in picture.dot"):
        path = drawing.save(tmp_path / "picture.svg")
    assert path.read_text() == drawing.source
    assert not (tmp_path / "picture.svg").exists()


@no_scripts
def test_failing_engine_is_told(only_dot, tmp_path, monkeypatch):
    fake_dot(tmp_path, monkeypatch, "echo 'no font' >&2; exit 3")

    assert Drawing(SOURCE).reason == "No picture: dot failed (no font)."


@no_scripts
def test_crash_is_told_by_its_signal_and_warnings_are_no_reason(only_dot, tmp_path, monkeypatch):
    fake_dot(tmp_path, monkeypatch, "cat > /dev/null; echo 'Fontconfig warning: no such rule' >&2; kill -SEGV $$")
    assert Drawing(SOURCE).reason == "No picture: dot crashed (SIGSEGV)."

    fake_dot(tmp_path, monkeypatch, "cat > /dev/null; echo 'Error: too deep' >&2; echo 'Warning: x' >&2; exit 3")
    assert Drawing(SOURCE).reason == "No picture: dot failed (Error: too deep)."


@no_scripts
@pytest.mark.parametrize(("crashes", "tries", "drawn"), [(0, 1, True), (2, 3, True), (3, 3, False)])
def test_a_crash_is_tried_again_and_not_for_ever(only_dot, tmp_path, monkeypatch, crashes, tries, drawn):
    log = tmp_path / "tries"
    crash = f"[ $(wc -l < {log}) -gt {crashes} ] || kill -SEGV $$"
    fake_dot(tmp_path, monkeypatch, f"cat > /dev/null; echo x >> {log}; {crash}; echo '<svg/>'")
    result = engine.layout(SOURCE, "svg")

    assert len(log.read_text().split()) == tries
    assert bool(result.data) == drawn
    assert result.reason == (None if drawn else "No picture: dot crashed (SIGSEGV).")


@no_scripts
def test_a_failure_is_not_tried_again(only_dot, tmp_path, monkeypatch):
    log = tmp_path / "tries"
    fake_dot(tmp_path, monkeypatch, f"cat > /dev/null; echo x >> {log}; exit 3")

    assert not engine.layout(SOURCE, "svg").data
    assert len(log.read_text().split()) == 1


@no_scripts
def test_engine_without_output_is_a_failure(only_dot, tmp_path, monkeypatch):
    fake_dot(tmp_path, monkeypatch, "cat > /dev/null; exit 0")

    assert engine.layout(SOURCE, "svg").data is None


@no_scripts
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the system hides what a process does")
def test_hanging_engine_is_stopped_and_not_asked_again(only_dot, tmp_path, monkeypatch):
    log = tmp_path / "tries"
    fake_dot(tmp_path, monkeypatch, f"echo x >> {log}; exec sleep 60")
    start = time.monotonic()
    first, second = (engine.layout(SOURCE, "svg", seconds=20) for _ in range(2))

    assert time.monotonic() - start < 15
    assert first.reason == "No picture: dot hangs (it slept for 5 s)."
    assert second.reason == "No picture: dot hung at an earlier picture."
    assert len(log.read_text().split()) == 1


@no_scripts
@bundled
def test_hanging_dot_falls_back_to_the_bundled_engine(tmp_path, monkeypatch):
    fake_dot(tmp_path, monkeypatch, "exec sleep 60")

    assert engine.layout(SOURCE, "svg", seconds=2).data


@no_scripts
@pytest.mark.skipif(not hasattr(engine.resource, "prlimit"), reason="the system cannot count what a process computes")
def test_waiting_is_not_counted_and_computing_is(only_dot, tmp_path, monkeypatch):
    late = "(sleep 2.5; kill -CONT $$) > /dev/null 2>&1 & kill -STOP $$"
    fake_dot(tmp_path, monkeypatch, f"cat > /dev/null; {late}; echo '<svg/>'")
    assert engine.layout(SOURCE, "svg", seconds=2).data

    fake_dot(tmp_path, monkeypatch, "while :; do :; done")
    assert re.fullmatch(
        r"No picture: dot did not finish within (1 s of computing|2 s)\.",
        engine.layout(SOURCE, "svg", seconds=1).reason,
    )


@no_scripts
@pytest.mark.skipif(not hasattr(engine.resource, "prlimit"), reason="the system cannot count what a process computes")
def test_tries_share_the_limit(only_dot, tmp_path, monkeypatch):
    log = tmp_path / "tries"
    busy = f"cat > /dev/null; echo x >> {log}; [ $(wc -l < {log}) -gt 1 ] && while :; do :; done"
    fake_dot(tmp_path, monkeypatch, f"{busy}; sleep 2; kill -SEGV $$")

    assert re.fullmatch(
        r"No picture: dot did not finish within (1(\.\d+)? s of computing|[23](\.\d+)? s)\.",
        engine.layout(SOURCE, "svg", seconds=3).reason,
    )


@pytest.mark.parametrize(("count", "most"), [(3, 1_000), (2_000, engine.PNG_PIXELS)])
@pytest.mark.parametrize("fixture", ["only_dot", pytest.param("no_dot", marks=bundled)])
def test_a_png_is_not_larger_than_can_be_shown(request, fixture, count, most):
    if fixture == "only_dot" and not shutil.which("dot"):
        pytest.skip("no dot on PATH")
    request.getfixturevalue(fixture)
    chain = "digraph { " + " ".join(f"n{i} -> n{i + 1};" for i in range(count)) + " }"
    data = engine.layout(chain, "png").data
    sides = [int.from_bytes(data[at : at + 4]) for at in (16, 20)]

    assert most / 4 < max(sides) <= most


@no_scripts
@bundled
def test_broken_dot_falls_back_to_the_bundled_engine(tmp_path, monkeypatch):
    fake_dot(tmp_path, monkeypatch, "exit 1")

    assert engine.layout(SOURCE, "svg").data


@no_scripts
def test_dot_that_cannot_be_started(only_dot, tmp_path, monkeypatch):
    fake_dot(tmp_path, monkeypatch, "")
    (tmp_path / "dot").write_bytes(b"\x7fELF not a program")

    assert "dot " in engine.layout(SOURCE, "svg").reason


@bundled
def test_files_of_the_user_do_not_shadow_the_standard_library(no_dot, tmp_path, monkeypatch):
    (tmp_path / "types.py").write_text("raise SystemExit(9)")
    (tmp_path / "pygraphviz.py").write_text("raise SystemExit(9)")
    monkeypatch.chdir(tmp_path)

    assert engine.layout(SOURCE, "svg").data


@bundled
def test_text_that_is_no_graph_is_a_failure(no_dot):
    assert engine.layout("digraph {", "svg").reason.startswith("No picture: pygraphviz failed")
