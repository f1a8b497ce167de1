"""The thread that trains is the one that is traced. What another computes is known to be used, without a line."""

from __future__ import annotations

import queue
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

import gradscope
from gradscope.capture.threads import here
from gradscope.session import Session


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
    assert "called there at" in finding.detail


@pytest.mark.parametrize(("guard", "cause"), [(torch.no_grad, "no_grad"), (torch.inference_mode, "inference_mode")])
def test_gradients_that_are_off_in_another_thread_are_told_at_the_call(parts, guard, cause):
    def far(left, x):
        with guard():
            z = left(x)  # here
        return z.clone()

    (finding,) = explained(parts, far).findings
    assert (finding.code, finding.model, finding.cause, finding.evidence) == ("GS101", "left", cause, "inferred")
    assert "# here" in finding.location.text
    assert "switched off" in finding.message


def test_another_call_there_with_gradients_is_what_counts(parts):
    def far(left, x):
        with torch.no_grad():
            left(x)
        return left(x).detach()

    (finding,) = explained(parts, far).findings
    assert (finding.cause, finding.location) == ("unknown", None)


def test_what_the_traced_thread_reads_of_it_without_gradient_is_not_blamed(parts):
    (finding,) = explained(parts, lambda left, x: left(x).detach(), average=nn.Linear(8, 4)).findings
    assert (finding.model, finding.location) == ("left", None)


def test_a_gradient_that_comes_back_through_another_thread_is_silence(parts):
    assert not explained(parts, lambda left, x: left(x)).findings


def test_modules_of_another_thread_do_not_run_inside_those_of_the_traced_one():
    from gradscope.capture.module_calls import ModuleCalls
    from gradscope.capture.parameters import Registry

    calls = ModuleCalls(Registry(), discover=False)
    calls.thread = here()
    mine, there = nn.Linear(1, 1), nn.Linear(1, 1)
    calls.enter(mine, ())
    for told in (lambda: calls.enter(there, ()), lambda: calls.leave(there, (), None)):
        thread = threading.Thread(target=told)
        thread.start()
        thread.join()
        assert len(calls.running) == 1


# --- training in another thread --------------------------------------------------------------------------------

STEPS = 12


class Training:
    """Two models and one turn of a loop, in parts that may run in different threads."""

    def __init__(self, *, cut: bool = False, clear: str = "none") -> None:
        torch.manual_seed(0)
        self.enc, self.dec = nn.Linear(3, 4), nn.Linear(4, 1)
        self.optimizer = torch.optim.Adam([*self.enc.parameters(), *self.dec.parameters()], lr=0.01)
        self.cut, self.clear = cut, clear

    def zero(self) -> None:
        if self.clear == "models":
            self.enc.zero_grad()
            self.dec.zero_grad()
        elif self.clear != "never":
            self.optimizer.zero_grad(set_to_none=self.clear == "none")

    def learn(self) -> None:
        code = self.enc(torch.randn(4, 3))
        if self.cut:
            code = code.detach()
        self.dec(code).pow(2).mean().backward()
        self.optimizer.step()

    def turn(self) -> None:
        self.zero()
        self.learn()


def in_thread(function):
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()


def one_thread(training):
    in_thread(lambda: [training.turn() for _ in range(STEPS)])


def pool(training):
    with ThreadPoolExecutor(1) as executor:
        for _ in range(STEPS):
            executor.submit(training.turn).result()


def thread_per_turn(training):
    for _ in range(STEPS):
        in_thread(training.turn)


def main_first(training):
    training.turn()
    training.turn()
    in_thread(lambda: [training.turn() for _ in range(STEPS - 2)])


def thread_first(training):
    in_thread(lambda: [training.turn() for _ in range(STEPS - 4)])
    for _ in range(4):
        training.turn()


def fed_by_queue(training):
    batches: queue.Queue[torch.Tensor | None] = queue.Queue()

    def work():
        while batches.get() is not None:
            training.turn()

    thread = threading.Thread(target=work)
    thread.start()
    for _ in range(STEPS):
        batches.put(torch.randn(4, 3) * 2)
    batches.put(None)
    thread.join()


def cleared_by_main(training):
    with ThreadPoolExecutor(1) as executor:
        for _ in range(STEPS):
            training.zero()
            executor.submit(training.learn).result()


def cleared_elsewhere(training):
    with ThreadPoolExecutor(1) as executor:
        for _ in range(STEPS):
            executor.submit(training.zero).result()
            training.learn()


def stepped_elsewhere(training):
    with ThreadPoolExecutor(1) as executor:
        for _ in range(STEPS):
            training.zero()
            training.dec(training.enc(torch.randn(4, 3))).pow(2).mean().backward()
            executor.submit(training.optimizer.step).result()


WAYS = [
    one_thread, pool, thread_per_turn, main_first, thread_first, fed_by_queue, cleared_by_main, cleared_elsewhere,
]  # fmt: skip


def session_over(loop, training):
    with Session() as session:
        loop(training)
        return session.report()


@pytest.mark.parametrize("clear", ["none", "zero", "models"])
@pytest.mark.parametrize("loop", [*WAYS, stepped_elsewhere])
def test_healthy_training_in_any_thread_is_silence(loop, clear):
    report = session_over(loop, Training(clear=clear))
    assert not report.findings
    assert (report.run.steps, report.run.backwards) == (STEPS, STEPS)


@pytest.mark.parametrize("loop", [*WAYS, stepped_elsewhere])
def test_what_is_never_cleared_is_told_in_any_thread(loop):
    assert "GS506" in {finding.code for finding in session_over(loop, Training(clear="never")).findings}


@pytest.mark.parametrize("loop", WAYS)
def test_the_line_of_a_cut_is_found_in_any_thread(loop):
    (finding,) = session_over(loop, Training(cut=True)).findings
    assert (finding.cause, finding.evidence) == ("detach", "traced")
    assert finding.location.text == "code = code.detach()"


def test_models_that_are_made_in_the_thread_lose_no_pass():
    with Session() as session:
        in_thread(lambda: one_thread_of(Training()))
        report = session.report()
    assert not report.findings
    assert (report.run.backwards, report.run.notes) == (STEPS, ())


def one_thread_of(training):
    for _ in range(STEPS):
        training.turn()


def test_marks_in_the_main_thread_find_a_line_in_a_pool():
    training = Training(cut=True)
    with gradscope.watch(enc=training.enc, dec=training.dec) as scope, ThreadPoolExecutor(1) as executor:
        for _ in scope.steps(range(STEPS)):
            executor.submit(training.turn).result()
        (finding,) = scope.report().findings
    assert (finding.cause, finding.location.text) == ("detach", "code = code.detach()")


def test_threads_that_take_turns_are_not_chased():
    training = Training()

    def turns():
        with ThreadPoolExecutor(1) as executor:
            for _ in range(STEPS // 2):
                training.turn()
                executor.submit(training.turn).result()

    with Session() as session:
        training.turn()
        mine = session._capture.tracer.thread
        turns()
        assert session._capture.tracer.thread == mine == here()
        assert not session.report().findings


def test_a_thread_that_only_computes_is_not_followed():
    training, teacher = Training(), nn.Linear(3, 3)
    stacks = []

    def compute():
        teacher(torch.randn(4, 3))
        stacks.append(torch._C._len_torch_function_stack())

    with Session() as session, ThreadPoolExecutor(1) as executor:
        for _ in range(STEPS):
            executor.submit(compute).result()
            training.turn()
        assert session._capture.tracer.thread == here()
    assert stacks == [0] * STEPS


# --- nothing stays, nothing changes ----------------------------------------------------------------------------


def stack_length() -> int:
    return torch._C._len_torch_function_stack()


@pytest.mark.parametrize("ended", ["in main", "in the thread"])
def test_no_mode_stays_in_a_thread_that_lives_on(ended):
    training = Training()
    with ThreadPoolExecutor(1) as executor:
        session = Session()
        session.__enter__()
        for _ in range(3):
            executor.submit(training.turn).result()
        assert executor.submit(stack_length).result() == 1
        close = lambda: session.__exit__(None, None, None)  # noqa: E731
        close() if ended == "in main" else executor.submit(close).result()
        executor.submit(torch.ones, 1).result()
        torch.ones(1)
        torch.ones(1)
        assert executor.submit(stack_length).result() == 0
        assert executor.submit(sys.getprofile).result() is None
        assert stack_length() == 0
        assert sys.getprofile() is None


def test_the_modes_of_a_thread_are_left_alone():
    training, seen = Training(), []

    def work():
        with torch.device("cpu"):
            one_thread_of(training)
            seen.append(stack_length())
        seen.append(stack_length())

    with Session() as session:
        in_thread(work)
        assert not session.report().findings
    assert seen == [1, 0]


def test_training_in_a_thread_is_the_same_with_us():
    def weights(watched):
        training = Training()
        if watched:
            session_over(pool, training)
        else:
            pool(training)
        return [p.clone() for m in (training.enc, training.dec) for p in m.parameters()]

    assert all(map(torch.equal, weights(watched=True), weights(watched=False)))


def test_a_model_in_another_thread_is_told_what_would_help(parts):
    (finding,) = explained(parts, lambda left, x: left(x).detach()).findings
    assert "main thread" in finding.fix
