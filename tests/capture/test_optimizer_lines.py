"""Lines of an optimizer that no hook saw, found in the source."""

from __future__ import annotations

import linecache
import textwrap

import pytest
import torch
from torch import nn

import gradscope
from gradscope.capture.calls import Sources, key_of_name
from gradscope.capture.optimizer_lines import Subject, lines_of

COUNTER = iter(range(1000))


def source(code: str) -> Sources:
    name = f"/elsewhere/script_{next(COUNTER)}.py"
    text = textwrap.dedent(code)
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    return Sources([name])


def text(path) -> str:
    return path[-1].text if path else ""


def look(code: str, name: str = "opt", class_name: str = "SGD", **kwargs):
    return lines_of(Subject(class_name, name, **kwargs), source(code))


def test_keys_of_names():
    assert [key_of_name(n) for n in ("opt", "trainer.opt", "o['g']", "self.o[0]", "a b")] == [
        "opt",
        "opt",
        "o['g']",
        "o[0]",
        "",
    ]


@pytest.mark.parametrize(
    ("code", "name", "line"),
    [
        ("opt = SGD(a)", "opt", "opt = SGD(a)"),
        ("first = SGD(a)\nopt = SGD(b)", "opt", "opt = SGD(b)"),
        ("self.opt = torch.optim.SGD(a)", "trainer.opt", "self.opt = torch.optim.SGD(a)"),
        ("o = {'g': SGD(a),\n 'd': SGD(b)}", "o['d']", "'d': SGD(b)}"),
        ("o = [SGD(a),\n SGD(b)]", "o[1]", "SGD(b)]"),
        ("a, b = SGD(x), SGD(y)", "b", "a, b = SGD(x), SGD(y)"),
        ("def build():\n  return SGD(a)\nopt = build()", "opt", "return SGD(a)"),
        ("opt = make(cfg.name, model)", "opt", "opt = make(cfg.name, model)"),
        ("if x:\n  opt = SGD(a)\nelse:\n  opt = SGD(b)", "opt", ""),
        ("a = SGD(x)\nb = SGD(y)", "", ""),
        ("def broken(:\n", "opt", ""),
    ],
)
def test_built(code, name, line):
    assert text(look(code, name).built) == line


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ("opt = SGD(a)\nopt.step()", "opt.step()"),
        ("opt = SGD(a)\nopt.step", ""),
        ("opt = SGD(a)\n# opt.step()", ""),
        ("opt = SGD(a)\nother.step()", ""),
        ("opt = SGD(a)\nscaler.step(opt)", "scaler.step(opt)"),
        ("def turn(o):\n  o.step()\nopt = SGD(a)\nturn(opt)", "o.step()"),
        ("def turn(m, o=None):\n  o.step()\nopt = SGD(a)\nturn(1, o=opt)", "o.step()"),
        (
            "class T:\n  def __init__(self, o):\n    self.o = o\n  def go(self):\n    self.o.step()\nT(opt)",
            "self.o.step()",
        ),
        ("all = [x, opt]\nfor each in all:\n  each.step()", "each.step()"),
        ("both = {'a': opt}\nfor k, each in both.items():\n  each.step()", "each.step()"),
        ("first = all[0]\nall = [x, opt]\nfirst.step()", ""),
    ],
)
def test_a_call_of_step(code, line):
    assert text(look(code).step) == line


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ("s = StepLR(opt, 1)\ns.step()", "s.step()"),
        ("s = StepLR(optimizer=opt)\nopt.step()", "s = StepLR(optimizer=opt)"),
        ("self.s = get_cosine_schedule_with_warmup(self.opt, 1, 2)\ntrainer.s.step()", "trainer.s.step()"),
        ("s = StepLR(other, 1)\ns.step()", ""),
        ("for g in opt.param_groups:\n  g['lr'] = 0", "g['lr'] = 0"),
        ("opt.param_groups[0]['lr'] = 0", "opt.param_groups[0]['lr'] = 0"),
        ("for g in other.param_groups:\n  g['lr'] = 0", ""),
    ],
)
def test_the_scheduler(code, line):
    assert text(look(code).scheduler) == line


@pytest.mark.parametrize(
    ("code", "empty", "line"),
    [
        ("it = m.parameters()\nn = sum(p for p in it)\nopt = SGD([{'params': it}, b])", True, "n = sum(p for p in it)"),
        ("it = filter(f, m.parameters())\nfor p in it:\n  pass\nopt = SGD([{'params': it}])", True, "for p in it:"),
        ("it = (p for p in m)\nopt = SGD([{'params': it}, b])", True, "it = (p for p in m)"),
        ("d = {'a': m.parameters()}\nn = {k: sum(v) for k, v in d.items()}\nopt = SGD(groups(d))", True,
         "n = {k: sum(v) for k, v in d.items()}"),
        ("d = [m.parameters()]\nn = len(list(d[0]))\nopt = SGD(groups(d))", True, "n = len(list(d[0]))"),
        ("d = {'a': m.parameters()}\nn = {k: sum(v) for k, v in d.items()}\nopt = SGD(groups(d))", False, ""),
        ("it = (p for p in m)\nopt = SGD([{'params': it}, b])", False, ""),
        ("it = m.parameters()\nx = list(it)\nopt = SGD([*it, *b])", False, "x = list(it)"),
        ("it = list(m.parameters())\nx = list(it)\nopt = SGD([{'params': it}])", True, ""),
        ("it = m.parameters()\nx = list(it)\nit = m.parameters()\nopt = SGD(it)", False, ""),
        ("it = m.parameters()\nprint(it)\nopt = SGD(it)", False, ""),
        ("def f():\n  it = iter(a)\n  list(it)\nit = b\nopt = SGD([it, c])", True, ""),
        ("def some(m):\n  return (p for p in m)\nit = some(m)\ncount(it)\nopt = SGD(chain(it, b))", False, "count(it)"),
        ("def some(m):\n  yield from m\nit = some(m)\ncount(it)\nopt = SGD(chain(it, b))", False, "count(it)"),
        ("def some(m):\n  return [p for p in m]\nit = some(m)\ncount(it)\nopt = SGD(chain(it, b))", False, ""),
        ("def f():\n  def g():\n    yield 1\n  return list(g())\nit = f()\ncount(it)\nopt = SGD(it)", False, ""),
    ],
)  # fmt: skip
def test_an_exhausted_iterator(code, empty, line):
    assert text(look(code, empty_group=empty).exhausted) == line


def test_added_groups():
    lines = look("opt = SGD(a)\nopt.add_param_group({'params': b})\nother.add_param_group(c)")
    assert [text(path) for path in lines.added] == ["opt.add_param_group({'params': b})"]


def test_an_optimizer_built_while_watching_has_the_line_of_the_function_that_holds_it():
    """There are several calls of its class with the same variable's name in this file."""
    model, other = nn.Linear(2, 2), nn.Linear(2, 2)
    with gradscope.watch(model=model, other=other) as scope:
        optimizer = torch.optim.SGD([{"params": model.parameters(), "lr": 0.0}, {"params": other.parameters()}], lr=0.1)
        for _ in range(4):
            optimizer.zero_grad()
            other(model(torch.ones(1, 2))).sum().backward()
            optimizer.step()
        (finding,) = scope.report().findings
    assert finding.code == "GS504"
    assert finding.location.function.startswith("test_an_optimizer_built_while_watching")
    assert finding.location.text.startswith("optimizer = torch.optim.SGD([{")
