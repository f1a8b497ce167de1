"""Which condition of the source decides whether a call is reached."""

from __future__ import annotations

import ast

import pytest

from gradscope.capture.guards import guard_of

SOURCES = {
    "around": ("if ready:  # here\n    step()", 1),
    "innermost around": ("if a:\n    if b:  # here\n        step()", 2),
    "in the else": ("if a:\n    pass\nelse:\n    step()", 1),
    "left before": ("def f():\n    if done:  # here\n        return\n    step()", 2),
    "continued before": ("for x in y:\n    if x:  # here\n        log()\n        continue\n    step()", 2),
    "the last of two": ("def f():\n    if a:\n        return\n    if b:  # here\n        return\n    step()", 4),
    "before the loop it is in": ("def f():\n    if a:  # here\n        return\n    for x in y:\n        step()", 2),
    "around a with": ("if a:  # here\n    with b:\n        step()", 1),
    "in a handler": ("if a:\n    pass\ntry:\n    pass\nexcept E:\n    if b:\n        step()", 6),
    "none": ("if a:\n    log()\nstep()", None),
    "not of another function": ("if a:\n    def f():\n        step()", None),
    "after": ("step()\nif a:\n    raise E", None),
}


@pytest.mark.parametrize(("source", "line"), SOURCES.values(), ids=SOURCES.keys())
def test_guard(source, line):
    tree = ast.parse(source)
    (call,) = (n for n in ast.walk(tree) if isinstance(n, ast.Call) and getattr(n.func, "id", "") == "step")

    guard = guard_of(tree, call)

    assert (guard.lineno if guard else None) == line


def test_no_source():
    assert guard_of(None, ast.parse("step()").body[0]) is None
