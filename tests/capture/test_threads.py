"""What another thread computes is not traced: it is known to be used, and no line is named for it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

import gradscope


@pytest.fixture
def parts():
    torch.manual_seed(0)
    return nn.Linear(8, 4), nn.Linear(8, 4), nn.Linear(8, 2)


def explained(parts, far, *, average=None):
    left, right, head = parts
    optimizer = torch.optim.SGD([p for m in parts for p in m.parameters()], lr=0.1)

    def step():
        x = torch.randn(16, 8)
        with ThreadPoolExecutor(1) as pool:
            z = pool.submit(far, left, x).result()
        loss = head(torch.cat([z, right(x)], 1)).pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if average is not None:
            with torch.no_grad():
                for old, new in zip(average.parameters(), left.parameters(), strict=True):
                    old.lerp_(new, 0.1)

    return gradscope.explain(step, left=left, right=right, head=head)


def test_a_cut_in_another_thread_has_no_line_and_is_not_called_unused(parts):
    (finding,) = explained(parts, lambda left, x: left(x).detach()).findings
    assert (finding.code, finding.model, finding.evidence) == ("GS101", "left", "inferred")
    assert finding.location is None
    assert "another thread" in finding.message


def test_what_the_traced_thread_reads_of_it_without_gradient_is_not_blamed(parts):
    (finding,) = explained(parts, lambda left, x: left(x).detach(), average=nn.Linear(8, 4)).findings
    assert (finding.model, finding.location) == ("left", None)


def test_a_gradient_that_comes_back_through_another_thread_is_silence(parts):
    assert not explained(parts, lambda left, x: left(x)).findings


def test_modules_of_another_thread_do_not_run_inside_those_of_the_traced_one():
    from gradscope.capture.module_calls import ModuleCalls
    from gradscope.capture.parameters import Registry

    calls = ModuleCalls(Registry(), discover=False)
    calls.thread = threading.get_ident()
    here, there = nn.Linear(1, 1), nn.Linear(1, 1)
    calls.enter(here, ())
    for told in (lambda: calls.enter(there, ()), lambda: calls.leave(there, (), None)):
        thread = threading.Thread(target=told)
        thread.start()
        thread.join()
        assert len(calls.running) == 1
