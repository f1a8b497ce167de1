"""Gradients that are switched off and stay off, and functions that were wrapped in no_grad() elsewhere."""

from __future__ import annotations

import ast
import contextlib

import pytest
import torch
from torch import nn

from gradscope.capture import grad_blocks
from gradscope.session import Session


def parts():
    torch.manual_seed(0)
    encoder, head = nn.Linear(3, 4), nn.Linear(4, 1)
    optimizer = torch.optim.SGD([*encoder.parameters(), *head.parameters()], lr=0.01)
    return encoder, head, optimizer


def validate(encoder):
    torch.set_grad_enabled(False)
    return encoder(torch.randn(2, 3)).mean()


@pytest.fixture
def grad_mode():
    yield
    torch.set_grad_enabled(True)


def told(session):
    report = session.report()
    return report, [f for f in report.findings if f.severity == "error"]


@pytest.mark.usefixtures("grad_mode")
def test_a_loss_without_graph_at_the_end_is_an_error_with_its_line():
    encoder, head, optimizer = parts()
    with Session() as session, contextlib.suppress(RuntimeError):
        for turn in range(5):
            loss = head(encoder(torch.randn(8, 3))).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if turn == 3:
                validate(encoder)
    report, errors = told(session)

    assert not report.ok
    assert {f.model for f in errors} == {"encoder", "head"}
    assert {f.cause for f in errors} == {"no_grad"}
    assert {f.location.text for f in errors} == {"torch.set_grad_enabled(False)"}
    assert all("a loss that has no graph" in f.detail and "switch them on again" in f.fix for f in errors)


@pytest.mark.usefixtures("grad_mode")
def test_steps_that_go_on_without_any_gradient_are_an_error_with_its_line():
    encoder, head, optimizer = parts()
    with Session() as session:
        for turn in range(12):
            loss = head(encoder(torch.randn(8, 3))).square().mean()
            optimizer.zero_grad()
            if loss.requires_grad:
                loss.backward()
            optimizer.step()
            if turn == 4:
                validate(encoder)
    _, errors = told(session)

    assert {f.model for f in errors} == {"encoder", "head"}
    assert {(f.cause, f.location.text) for f in errors} == {("no_grad", "torch.set_grad_enabled(False)")}


def test_a_last_pass_that_is_for_its_input_only_is_no_error():
    encoder, head, optimizer = parts()
    x = torch.randn(8, 3)
    with Session() as session:
        for turn in range(5):
            last = turn == 4
            encoder.requires_grad_(not last)
            head.requires_grad_(not last)
            loss = head(encoder(x.requires_grad_(last))).square().mean()
            optimizer.zero_grad()
            loss.backward()
            if not last:
                optimizer.step()
    assert x.grad is not None
    assert told(session)[1] == []


def features(model, x):
    return model(x).relu()


def other_features(model, x):
    return model(x).tanh()


@torch.no_grad()
def decorated(model, x):
    return model(x).relu()


def blamed_with(function):
    encoder, head, optimizer = parts()
    with Session() as session:
        for _ in range(4):
            hidden = function(encoder, torch.randn(8, 3))
            optimizer.zero_grad()
            head(hidden).square().mean().backward()
            optimizer.step()
    _, (error,) = told(session)
    assert (error.model, error.cause) == ("encoder", "no_grad")
    return error


def test_a_function_wrapped_by_a_call_is_blamed_where_it_is_wrapped():
    quick = torch.no_grad()(features)
    error = blamed_with(quick)

    assert error.location.text == "quick = torch.no_grad()(features)"
    assert "hidden = function(" in error.path[-2].text
    assert "do not wrap" in error.fix


def test_a_function_wrapped_in_two_places_is_blamed_where_it_is_called():
    once, again = torch.no_grad()(other_features), torch.no_grad()(other_features)
    assert once is not again
    assert "hidden = function(" in blamed_with(once).location.text


def test_a_decorator_is_to_be_taken_away():
    error = blamed_with(decorated)
    assert (error.location.text, "decorator" in error.fix) == ("@torch.no_grad()", True)


def batches(inside: bool):
    for _ in range(6):
        with torch.no_grad():
            x = torch.randn(8, 3)
            if inside:
                yield x
        if not inside:
            yield x


@pytest.mark.usefixtures("grad_mode")
def test_a_generator_that_yields_inside_its_block_leaves_gradients_off_for_who_asked():
    encoder, head, optimizer = parts()
    with Session() as session:
        for x in batches(inside=True):
            hidden = encoder(x)
            with torch.enable_grad():
                optimizer.zero_grad()
                head(hidden).square().mean().backward()
            optimizer.step()
    _, (error,) = told(session)

    assert (error.model, error.location.text) == ("encoder", "with torch.no_grad():")
    assert "generator" in error.message
    assert "yield" in error.fix


def test_a_generator_that_yields_after_its_block_is_silent():
    encoder, head, optimizer = parts()
    with Session() as session:
        for x in batches(inside=False):
            optimizer.zero_grad()
            head(encoder(x)).square().mean().backward()
            optimizer.step()
    assert told(session)[1] == []


class Meter:
    def __init__(self):
        self.total = 0.0

    def add(self, loss):
        self.total += loss.item()


def test_the_caller_that_is_named_is_one_of_the_models_own():
    torch.manual_seed(0)
    body, left, right = nn.Linear(3, 4), nn.Linear(4, 1), nn.Linear(4, 1)
    optimizer = torch.optim.SGD([*body.parameters(), *left.parameters(), *right.parameters()], lr=0.01)
    with Session() as session:
        for _ in range(4):
            meter, hidden = Meter(), body(torch.randn(8, 3))
            meter.add(left(hidden).square().mean())
            meter.add(right(hidden).square().mean())
            loss = torch.tensor(meter.total, requires_grad=True)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    callers = {f.model: [place.text for place in f.path[:-1]] for f in told(session)[1]}

    assert "meter.add(right(hidden).square().mean())" not in callers["left"]
    assert "meter.add(left(hidden).square().mean())" not in callers["right"]


@pytest.mark.parametrize("turns", [1, 4])
@pytest.mark.parametrize("every", [False, True])
def test_what_ran_once_before_the_loop_has_to_run_in_it(turns, every):
    encoder, head, optimizer = parts()
    x = torch.randn(8, 3)
    with Session() as session:
        for turn in range(turns):
            if every or not turn:
                with torch.no_grad():
                    features = encoder(x)
            optimizer.zero_grad()
            head(features).square().mean().backward()
            optimizer.step()
    _, (error,) = told(session)

    assert error.cause == "no_grad"
    assert ("only once, before the loop" in error.fix) == (turns > 1 and not every)


def now_and_then(keep, turns=12):
    encoder, head, optimizer = parts()
    with Session() as session:
        for turn in range(turns):
            hidden = encoder(torch.randn(8, 3))
            if not keep(turn):
                hidden = hidden.detach()
            optimizer.zero_grad()
            (head(hidden).square().mean() + head(encoder(torch.randn(8, 3)).detach()).mean()).backward()
            optimizer.step()
    return [f for f in session.report().findings if f.model == "encoder"]


def test_what_cuts_now_and_then_is_told_with_its_line():
    (info,) = now_and_then(lambda turn: turn % 4)

    assert (info.code, info.severity, info.state, info.cause) == ("GS104", "info", "intermittent", "detach")
    assert info.location.text == "hidden = hidden.detach()"
    assert info.fix.startswith("if it is not meant, ")


def test_what_cuts_beside_a_gradient_that_comes_is_not_told():
    assert now_and_then(lambda turn: True) == []


class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("gain", torch.ones(3))
        self.shift = nn.Parameter(torch.zeros(3))

    def forward(self, x):
        return x * self.gain + self.shift


@pytest.mark.parametrize("given", [False, True])
def test_a_buffer_that_an_optimizer_holds_is_told(given):
    torch.manual_seed(0)
    scaled, head = Scaled(), nn.Linear(3, 1)
    optimizer = torch.optim.SGD([*scaled.parameters(), *head.parameters(), *[scaled.gain] * given], lr=0.01)
    with Session() as session:
        for _ in range(4):
            optimizer.zero_grad()
            head(scaled(torch.randn(8, 3))).square().mean().backward()
            optimizer.step()
    errors = told(session)[1]

    assert [(f.code, f.model, f.parameters) for f in errors] == [("GS103", "scaled", ("gain",))] * given
    assert all(f.message.startswith("scaled.gain gets no gradient: it is a buffer") for f in errors)


def test_a_detach_for_another_loss_is_not_what_keeps_a_gradient_away_now_and_then():
    torch.manual_seed(0)
    generator, critic = nn.Linear(3, 4), nn.Linear(4, 1)
    first = torch.optim.SGD(critic.parameters(), lr=0.01)
    second = torch.optim.SGD(generator.parameters(), lr=0.01)
    with Session() as session:
        for turn in range(12):
            made = generator(torch.randn(8, 3))
            first.zero_grad()
            critic(made.detach()).square().mean().backward()
            first.step()
            second.zero_grad()
            if turn % 3:
                critic(made).sub(1).square().mean().backward()
            second.step()
    (info,) = [f for f in session.report().findings if f.model == "generator"]

    assert (info.code, info.cause, info.location) == ("GS104", "unknown", None)


@contextlib.contextmanager
def no_grad_helper():
    with torch.no_grad():  # helper
        yield


@contextlib.contextmanager
def inference_helper():
    with torch.inference_mode():  # helper
        yield


@pytest.mark.parametrize(("manager", "cause"), [(no_grad_helper, "no_grad"), (inference_helper, "inference_mode")])
def test_a_context_manager_of_the_users_is_blamed_where_it_turns_gradients_off(manager, cause):
    managed = {no_grad_helper: no_grad_part, inference_helper: inference_part}[manager]
    encoder, head, optimizer = parts()
    with Session() as session:
        for _ in range(4):
            hidden = managed(encoder, torch.randn(8, 3))
            optimizer.zero_grad()
            head(hidden.clone()).square().mean().backward()
            optimizer.step()
    _, (error,) = told(session)

    assert (error.model, error.cause) == ("encoder", cause)
    assert "# helper" in error.location.text
    assert "yield" not in error.fix


def no_grad_part(model, x):
    with no_grad_helper():
        return model(x)


def inference_part(model, x):
    with inference_helper():
        return model(x)


def test_of_two_models_in_a_row_only_the_second_computes_without_gradients():
    encoder, head, _ = parts()
    between = nn.Linear(4, 4)
    optimizer = torch.optim.SGD([*encoder.parameters(), *between.parameters(), *head.parameters()], lr=0.01)
    with Session() as session:
        for _ in range(4):
            hidden = encoder(torch.randn(8, 3))
            with torch.no_grad():
                hidden = between(hidden)
            optimizer.zero_grad()
            head(hidden).square().mean().backward()
            optimizer.step()
    said = {f.model: f.message for f in told(session)[1]}

    assert "where its output is used" in said["encoder"]
    assert "while it computes" in said["between"]


def test_a_hook_on_one_line_that_goes_through_numpy():
    encoder, head, optimizer = parts()

    def halve(_module, _inputs, output): return torch.from_numpy(output.detach().numpy() / 2)  # fmt: skip

    encoder.register_forward_hook(halve)
    with Session() as session:
        for _ in range(4):
            optimizer.zero_grad()
            head(encoder(torch.randn(8, 3))).square().mean().backward()
            optimizer.step()
    _, (error,) = told(session)

    assert (error.model, error.cause) == ("encoder", "numpy")
    assert "def halve" in error.location.text


@pytest.mark.parametrize(
    ("call", "wraps"),
    [
        ("torch.no_grad()(f)", True),
        ("no_grad(net.forward)", True),
        ("torch.inference_mode()(f)", True),
        ("torch.set_grad_enabled(False)(f)", True),
        ("torch.set_grad_enabled(flag)(f)", False),
        ("torch.inference_mode(flag)", False),
        ("torch.no_grad()", False),
        ("torch.enable_grad()(f)", False),
    ],
)
def test_calls_that_wrap_a_function_in_a_block_without_gradients(call, wraps):
    assert grad_blocks._wraps(ast.parse(call, mode="eval").body) is wraps
