"""Scopes: names, steps, lifetime, and the step that is traced when something looks wrong."""

from __future__ import annotations

import asyncio
import gc
import sys
import weakref

import pytest
import torch
from torch import nn
from torch.nn.modules import module as nn_module
from torch.optim import optimizer as torch_optimizer

import gradscope
from gradscope.capture import failure
from gradscope.capture.hooks import Watcher
from gradscope.capture.passing import PassProbe
from gradscope.errors import GradscopeError, NameClashError, NothingWatchedError, NotTrainableError, ProbeWarning
from gradscope.records import Backward


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)
    torch.manual_seed(0)
    failure._said.clear()
    gc.collect()
    before = attached()
    yield
    gc.collect()
    assert attached() == before


def attached() -> int:
    """Everything that hangs on torch globally."""
    return (
        len(torch_optimizer._global_optimizer_pre_hooks)
        + len(torch_optimizer._global_optimizer_post_hooks)
        + len(nn_module._global_parameter_registration_hooks)
        + len(nn_module._global_module_registration_hooks)
        + len(nn_module._global_forward_hooks)
        + len(nn_module._global_forward_pre_hooks)
        + torch._C._len_torch_function_stack()
    )


def hooks(module: nn.Module) -> int:
    return sum(len(p._post_accumulate_grad_hooks or ()) for p in module.parameters())


def step(encoder, decoder, optimizer, *, cut: bool = False) -> None:
    optimizer.zero_grad()
    h = encoder(torch.randn(3, 4))
    if cut:
        h = h.detach()
    decoder(h).pow(2).sum().backward()
    optimizer.step()


@pytest.fixture
def parts():
    encoder, decoder = nn.Linear(4, 4), nn.Linear(4, 2)
    return encoder, decoder, torch.optim.SGD([*encoder.parameters(), *decoder.parameters()], lr=0.01)


# --- names --------------------------------------------------------------------------------------------------------


def names(scope) -> list[str]:
    return [model.name for model in scope.report().run.models]


def test_names():
    encoder, decoder = nn.Linear(2, 2), nn.Linear(2, 2)
    with gradscope.watch(e=encoder) as scope:
        assert names(scope) == ["e"]
    with gradscope.watch({"d": decoder}, e=encoder) as scope:
        assert names(scope) == ["d", "e"]
    with gradscope.watch(encoder, decoder) as scope:
        assert names(scope) == ["encoder", "decoder"]
    with gradscope.watch(nn.Linear(2, 2), decoder) as scope:
        assert names(scope)[1] == "decoder"


def test_bad_input_is_told_in_one_line():
    model = nn.Linear(2, 2)
    with pytest.raises(GradscopeError, match="nothing to watch"):
        gradscope.watch()
    with pytest.raises(NotTrainableError, match="ReLU"):
        gradscope.watch(relu=nn.ReLU())
    with pytest.raises(NotTrainableError, match="requires a gradient"):
        gradscope.watch(model=nn.Linear(2, 2).requires_grad_(False))
    with pytest.raises(NameClashError, match="already watched as 'a'"):
        gradscope.watch(a=model, b=model)
    with pytest.raises(GradscopeError, match="every=0"):
        gradscope.watch(model=model, every=0)
    with pytest.raises(GradscopeError, match="budget=7"):
        gradscope.watch(model=model, budget=7)
    with pytest.raises(GradscopeError, match=r"\['target'\]"):
        gradscope.watch(model=model, expect_no_grad=["target"])
    with gradscope.watch(model=model) as scope, pytest.raises(NameClashError):
        scope.add(model=nn.Linear(2, 2))


def test_without_a_scope():
    gradscope.scope._scopes.clear()
    with pytest.raises(NothingWatchedError, match=r"gradscope\.watch"):
        gradscope.report()


# --- steps --------------------------------------------------------------------------------------------------------


def test_steps_are_counted_alike_however_they_are_marked(parts):
    seen = []
    with gradscope.watch(encoder=parts[0], decoder=parts[1]) as bare:
        for _ in range(3):
            step(*parts)
        seen.append(bare.report().run)
    with gradscope.watch(encoder=parts[0], decoder=parts[1]) as scope:
        for _ in range(3):
            with scope.step():
                step(*parts)
        seen.append(scope.report().run)
    with gradscope.watch(encoder=parts[0], decoder=parts[1]) as scope:
        for _ in scope.steps(range(3)):
            step(*parts)
        seen.append(scope.report().run)
    with gradscope.watch(encoder=parts[0], decoder=parts[1]) as scope:
        marked = scope.step(step)
        for _ in range(3):
            marked(*parts)
        seen.append(scope.report().run)
        assert marked.__name__ == "step"
    for run in seen:
        assert run.steps == 3
        assert [event.step for event in run.backward_events] == [0, 1, 2]
        assert [event.step for event in run.step_events] == [0, 1, 2]


def test_a_coroutine_is_one_step_for_each_time_it_is_awaited(parts):
    with gradscope.watch(encoder=parts[0], decoder=parts[1]) as scope:

        @scope.step
        async def wait_and_step():
            await asyncio.sleep(0)
            step(*parts)
            await asyncio.sleep(0)
            step(*parts)

        async def train():
            for _ in range(3):
                await wait_and_step()

        asyncio.run(train())
        run = scope.report().run

    assert run.steps == 3
    assert [event.step for event in run.step_events] == [0, 0, 1, 1, 2, 2]


def test_an_explicit_step_may_hold_several_optimizer_steps(parts):
    with gradscope.watch(encoder=parts[0], decoder=parts[1]) as scope:
        for _ in scope.steps(range(2)):
            for _ in range(3):
                step(*parts)
        run = scope.report().run
    assert [event.step for event in run.step_events] == [0, 0, 0, 1, 1, 1]


def test_on_step_tells_norms(parts):
    told = []
    with gradscope.watch(encoder=parts[0], decoder=parts[1]) as scope:
        scope.on_step(told.append)
        for _ in scope.steps(range(2)):
            step(*parts)
    wanted = sum(p.grad.pow(2).sum().item() for p in parts[0].parameters()) ** 0.5
    assert [summary.step for summary in told] == [0, 1]
    assert told[-1].grad_norms["encoder"] == pytest.approx(wanted)


# --- lifetime -----------------------------------------------------------------------------------------------------


def test_a_closed_scope_still_reports(parts):
    scope = gradscope.watch(encoder=parts[0], decoder=parts[1])
    step(*parts)
    assert hooks(parts[0]) == 2
    scope.close()
    scope.close()
    step(*parts)
    assert hooks(parts[0]) == 0
    assert scope.report().run.backwards == 1
    assert str(scope.report())


def test_leaving_with_an_exception_closes(parts):
    scope = gradscope.watch(encoder=parts[0], decoder=parts[1])

    def interrupted() -> None:
        with scope:
            for _ in scope.steps(range(2)):
                step(*parts)
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    gc.collect()
    assert hooks(parts[0]) == 0
    assert scope.report().run.backwards == 1


def test_a_forgotten_scope_is_collected(parts):
    scope = gradscope.watch(encoder=parts[0], decoder=parts[1])
    scope.on_step(lambda summary: None)
    gone = weakref.ref(scope)
    for _ in scope.steps(range(2)):
        step(*parts)
    del scope
    gc.collect()
    assert gone() is None
    assert hooks(parts[0]) == 0


@pytest.mark.parametrize("traced", [False, True])
def test_models_and_graphs_are_collected(traced):
    model = nn.Linear(4, 4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scope = gradscope.watch(model)
    if traced:
        scope._capture.start_tracing()
    loss = model(torch.randn(3, 4)).sum()
    loss.backward()
    optimizer.step()
    gone = [weakref.ref(x) for x in (model, optimizer, loss, model.weight, model.weight.grad)]
    if traced:
        scope._capture.stop_tracing()
    del model, optimizer, loss
    gc.collect()
    assert [ref() for ref in gone] == [None] * 5
    assert scope.report().run.backwards == 1
    scope.close()


def test_two_scopes_at_once(parts):
    with gradscope.watch(encoder=parts[0]) as one:
        step(*parts)
        with gradscope.watch(encoder=parts[0], decoder=parts[1], every=2) as two:
            step(*parts)
            step(*parts)
        step(*parts)
    assert one.report().run.backwards == 4
    assert two.report().run.backwards == 2
    assert hooks(parts[0]) == hooks(parts[1]) == 0


# --- what cannot be watched, and what nothing was trained of ------------------------------------------------------


def test_a_name_given_twice_is_refused_however_it_is_given():
    one, two = nn.Linear(2, 2), nn.Linear(2, 2)
    for models, named in [(({"a": one},), {"a": two}), ((one, {"one": two}), {}), (({"a": one}, {"a": two}), {})]:
        with pytest.raises(NameClashError, match="two models are named"):
            gradscope.watch(*models, **named)
    with pytest.raises(NameClashError):
        gradscope.watch(one, one)


@pytest.mark.parametrize("given", [3, None, "encoder", [nn.Linear(2, 2)], {"a": 3}, []])
def test_what_is_no_model_is_refused_by_its_name(given):
    with pytest.raises(NotTrainableError, match="'thing'"):
        gradscope.watch(thing=given)
    with gradscope.watch(fine=nn.Linear(2, 2)) as scope, pytest.raises(NotTrainableError, match="'thing'"):
        scope.add(thing=given)


def test_tensors_alone_in_a_list_and_in_a_dict_are_watched():
    tensors = [torch.ones(2, requires_grad=True) for _ in range(3)]
    with gradscope.watch(one=tensors[0], two=[tensors[1]], three={"x": tensors[2]}) as scope:
        assert names(scope) == ["one", "two", "three"]
        assert [p.name for p in scope.report().run.parameters.values()] == ["one", "two.0", "three.x"]


@pytest.mark.parametrize("base", [object, nn.Module])
def test_attributes_name_positional_models(base):
    class Trainer(base):
        def __init__(self):
            super().__init__()
            self.generator, self.critic = nn.Linear(2, 2), nn.Linear(2, 2)

        def watch(self):
            return gradscope.watch(self.generator, self.critic)

    with Trainer().watch() as scope:
        assert names(scope) == ["generator", "critic"]


def test_nothing_trained_is_not_ok(parts):
    with gradscope.watch(encoder=parts[0]) as scope:
        assert not scope.report().ok
        with pytest.raises(gradscope.GradientFlowError, match="nothing was trained"):
            scope.assert_flow()
        step(*parts)
        assert scope.report().ok
        scope.assert_flow()


def test_each_owner_of_tied_weights_is_told():
    table, out, head = nn.Embedding(10, 4), nn.Linear(4, 10, bias=False), nn.Linear(10, 2)
    out.weight = table.weight
    optimizer = torch.optim.SGD([table.weight, *head.parameters()], lr=0.01)
    both = nn.ModuleList([table])
    with gradscope.watch(table=table, out=out, head=head, both=both) as scope:
        for _ in scope.steps(range(4)):
            optimizer.zero_grad()
            head(out(table(torch.arange(5))).detach()).pow(2).sum().backward()
            optimizer.step()
        report = scope.report()
    assert {(f.code, f.model, f.cause) for f in report.findings} >= {
        ("GS101", "table", "detach"),
        ("GS101", "out", "detach"),
    }
    for allow in ("table", ["table"], ["out"]):
        with pytest.raises(gradscope.GradientFlowError):
            report.assert_flow(allow=allow)
    report.assert_flow(allow=["table", "out", "both"])
    report.assert_flow(allow="GS101")


# --- tracing on demand --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["with", "steps", "decorator"])
def test_a_missing_gradient_is_traced_once(parts, way):
    with gradscope.watch(encoder=parts[0], decoder=parts[1]) as scope:
        if way == "steps":
            for _ in scope.steps(range(6)):
                step(*parts, cut=True)
        for _ in range(6) if way != "steps" else ():
            if way == "with":
                with scope.step():
                    step(*parts, cut=True)
            else:
                scope.step(step)(*parts, cut=True)
        assert scope._capture.tape is None
        assert torch._C._len_torch_function_stack() == 0
        report = scope.report()
    (finding,) = report.findings
    assert (finding.cause, finding.location.text) == ("detach", "h = h.detach()")
    assert report.run.traced == 1
    assert report.run.steps == 6


@pytest.mark.parametrize("where", ["start", "end"])
def test_a_bare_mark_parts_two_turns(parts, where):
    with gradscope.watch(encoder=parts[0], decoder=parts[1]) as scope:
        told = []
        scope.on_step(lambda summary: told.append(summary.step))
        for _ in range(6):
            if where == "start":
                scope.step()
            step(*parts, cut=True)
            if where == "end":
                scope.step()
        report = scope.report()
        assert torch._C._len_torch_function_stack() == 0
    (finding,) = report.findings
    assert (finding.cause, finding.location.text) == ("detach", "h = h.detach()")
    assert (report.run.steps, report.run.traced) == (6, 1)
    assert told == list(range(6 if where == "end" else 5))


def test_a_bare_mark_in_a_mode_that_lies_below_does_not_trace(parts):
    with gradscope.watch(encoder=parts[0], decoder=parts[1]) as scope:
        for _ in range(6):
            with torch.device("cpu"):
                step(*parts, cut=True)
                scope.step()
                assert torch._C._len_torch_function_stack() == 1
        assert (scope.report().run.steps, scope.report().run.traced) == (6, 0)


def test_a_bare_mark_within_a_marked_step_counts_nothing(parts):
    with gradscope.watch(encoder=parts[0], decoder=parts[1]) as scope:
        for _ in scope.steps(range(4)):
            step(*parts)
            scope.step()
        assert scope.report().run.steps == 4


def test_a_step_kept_for_later_is_no_mark(parts):
    with gradscope.watch(encoder=parts[0], decoder=parts[1]) as scope:
        step(*parts)
        turn = scope.step()
        with turn:
            step(*parts)
        decorated = scope.step()(step)
        decorated(*parts)
        del turn
        assert scope.report().run.steps == 2


def test_a_closed_scope_counts_no_steps(parts):
    with gradscope.watch(encoder=parts[0], decoder=parts[1]) as scope:
        step(*parts)
    for _ in scope.steps(range(3)):
        with scope.step():
            step(*parts)
        scope.step()
    assert (scope.report().run.steps, scope.report().run.backwards) == (1, 1)


@pytest.mark.parametrize("part", ["end", "backward", "step"])
def test_tracing_covers_the_whole_turn_whatever_part_is_marked(parts, part):
    encoder, decoder, optimizer = parts
    with gradscope.watch(encoder=encoder, decoder=decoder) as scope:
        for _ in range(6):
            h = encoder(torch.randn(3, 4)).detach()
            if part == "backward":
                with scope.step():
                    optimizer.zero_grad()
                    decoder(h).pow(2).sum().backward()
                    optimizer.step()
                continue
            optimizer.zero_grad()
            decoder(h).pow(2).sum().backward()
            if part == "end":
                optimizer.step()
            with scope.step():
                if part == "step":
                    optimizer.step()
        assert scope._capture.tape is None
        assert torch._C._len_torch_function_stack() == 0
        (finding,) = scope.report().findings
    assert (finding.code, finding.cause, finding.location.text) == (
        "GS101", "detach", "h = encoder(torch.randn(3, 4)).detach()",
    )  # fmt: skip


@pytest.mark.parametrize("turns", [2, 3, 6])
def test_a_mark_that_may_not_go_on_tracing_says_unknown(parts, turns):
    encoder, decoder, optimizer = parts
    with gradscope.watch(encoder=encoder, decoder=decoder) as scope:
        for _ in range(turns):
            with torch.device("cpu"):
                h = encoder(torch.randn(3, 4)).detach()
                optimizer.zero_grad()
                decoder(h).pow(2).sum().backward()
                optimizer.step()
                with scope.step():  # the device's mode leaves the stack before tracing could end
                    pass
            assert torch._C._len_torch_function_stack() == 0
        (finding,) = scope.report().findings
    assert (finding.code, finding.cause) == ("GS101", "unknown")
    assert "scope.steps(loader)" in finding.fix


def test_a_model_that_is_never_used_is_said_so_after_a_whole_turn(parts):
    encoder, decoder, optimizer = parts
    spare = nn.Linear(4, 4)
    optimizer.add_param_group({"params": spare.parameters()})
    for turns, code in ((1, "GS101"), (4, "GS102")):
        with gradscope.watch(encoder=encoder, decoder=decoder, spare=spare) as scope:
            for _ in range(turns):
                with scope.step():
                    step(*parts)
            (finding,) = scope.report().findings
        assert (finding.code, finding.model) == (code, "spare")
    with gradscope.watch(encoder=encoder, decoder=decoder, spare=spare) as scope:
        for _ in scope.steps(range(2)):
            step(*parts)
        assert [finding.code for finding in scope.report().findings] == ["GS102"]


def test_tracing_waits_for_the_optimizer_that_it_is_for(parts):
    """Of an alternating loop the turn of the other model explains nothing."""
    generator, critic = parts[:2]
    ours, theirs = (torch.optim.SGD(m.parameters(), lr=0.01) for m in (generator, critic))
    with gradscope.watch(generator=generator, critic=critic) as scope:
        for turn in scope.steps(range(12)):
            fake = generator(torch.randn(3, 4))
            if turn % 3:
                theirs.zero_grad()
                critic(fake.detach()).pow(2).sum().backward()
                theirs.step()
            else:
                ours.zero_grad()
                loss = critic(fake.data)
                loss.pow(2).sum().backward()
                ours.step()
        (finding,) = scope.report().findings
    assert (finding.code, finding.cause, finding.location.text) == ("GS101", "data", "loss = critic(fake.data)")


def test_a_healthy_loop_is_never_traced(parts):
    with gradscope.watch(encoder=parts[0], decoder=parts[1]) as scope:
        for _ in scope.steps(range(6)):
            step(*parts)
        assert scope.report().ok
        assert scope.report().run.traced == 0


def test_a_bare_loop_is_never_traced_and_says_how(parts):
    with gradscope.watch(encoder=parts[0], decoder=parts[1]) as scope:
        for _ in range(6):
            step(*parts, cut=True)
        (finding,) = scope.report().findings
    assert finding.cause == "unknown"
    assert "scope.steps(loader)" in finding.fix


def test_zero_and_nan_are_traced(parts):
    encoder, decoder, optimizer = parts
    with gradscope.watch(encoder=encoder, decoder=decoder) as scope:
        for _ in scope.steps(range(8)):
            optimizer.zero_grad()
            decoder(torch.relu(encoder(torch.randn(3, 4)) - 100.0)).pow(2).sum().backward()
            optimizer.step()
        report = scope.report()
    assert "dead_relu" in [finding.cause for finding in report.findings]
    assert report.run.traced == 1
    with gradscope.watch(encoder=encoder, decoder=decoder) as scope:
        for _ in scope.steps(range(4)):
            optimizer.zero_grad()
            (decoder(encoder(torch.randn(3, 4))) * 0.0).sum().sqrt().backward()
        report = scope.report()
    assert report.run.traced >= 1
    assert "sqrt_at_zero" in [finding.cause for finding in report.findings]


def test_tracing_begins_in_the_middle_of_a_loop_that_clears_at_its_end(parts):
    encoder, decoder, optimizer = parts
    with gradscope.watch(encoder=encoder, decoder=decoder) as scope:
        for _ in scope.steps(range(6)):
            decoder(encoder(torch.randn(3, 4)).detach()).pow(2).sum().backward()
            optimizer.step()
            optimizer.zero_grad()
        report = scope.report()
    assert not any(event.added for event in report.run.backward_events)
    assert [finding.cause for finding in report.findings] == ["detach"]


def test_explain_traces_and_leaves_nothing(parts):
    report = gradscope.explain(lambda: step(*parts, cut=True), encoder=parts[0], decoder=parts[1])
    assert report.findings[0].location.text == "h = h.detach()"
    assert hooks(parts[0]) == 0


# --- when we fail -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("of", "where"), [(PassProbe, "log"), (PassProbe, "_measure"), (Watcher, "path")])
def test_a_failing_probe_warns_once_and_training_goes_on(parts, of, where, monkeypatch):
    def broken(*args, **kwargs):
        raise RuntimeError("broken on purpose")

    before = parts[0].weight.clone()
    with gradscope.watch(encoder=parts[0], decoder=parts[1]) as scope:
        monkeypatch.setattr(of, where, broken)
        with pytest.warns(ProbeWarning, match="broken on purpose") as told:
            [step(*parts) for _ in range(3)]
        assert len(told) == 1
        assert hooks(parts[0]) == 0
        assert any("broken on purpose" in note for note in scope.report().run.notes)
    assert not torch.equal(before, parts[0].weight)


def test_a_failing_optimizer_probe_detaches(parts, monkeypatch):
    with gradscope.watch(encoder=parts[0], decoder=parts[1]) as scope:
        monkeypatch.setattr(type(scope._capture.watcher._stepping), "_look", lambda *args: 1 / 0)
        with pytest.warns(ProbeWarning, match="optimizer probe"):
            step(*parts)
        step(*parts)
        assert hooks(parts[0]) == 0


# --- budget and devices -------------------------------------------------------------------------------------------


def test_a_small_budget_thins_the_norms_but_not_who(parts):
    with gradscope.watch(encoder=parts[0], decoder=parts[1], budget=1e-6) as scope:
        scope._capture.watcher.budget.free = 0.0
        for _ in range(60):
            step(*parts)
        run = scope.report().run
    assert run.tallies[0].backwards == 60
    assert run.tallies[0].measured < 30
    assert "with 0.0% as the aim" in run.notes[0]
    assert run.tallies[0].ratio_last is not None


def test_norms_of_another_device_arrive_one_pass_late(parts, monkeypatch):
    from gradscope.capture import meter

    monkeypatch.setattr(meter, "on_cpu", lambda tensors: False)
    with gradscope.watch(encoder=parts[0], decoder=parts[1]) as scope:
        wanted = []
        for _ in range(4):
            step(*parts)
            wanted.append(
                {u: p.grad.norm().item() for u, p in enumerate([*parts[0].parameters(), *parts[1].parameters()])}
            )
            last = [e for e in scope._capture.watcher.log.events() if isinstance(e, Backward)][-1]
            assert set(last.norms.values()) == {None}
        run = scope.report().run
    assert [dict(event.norms) for event in run.backward_events] == [pytest.approx(w) for w in wanted]
    assert run.tallies[0].measured == 4


# --- memory -------------------------------------------------------------------------------------------------------


def test_two_thousand_steps_do_not_grow(parts):
    import tracemalloc

    with gradscope.watch(encoder=parts[0], decoder=parts[1]):
        for _ in range(1000):  # fills the log, which is bounded
            step(*parts)
        gc.collect()
        objects = len(gc.get_objects())
        tracemalloc.start(1)
        for _ in range(1000):
            step(*parts)
        gc.collect()
        grown, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert len(gc.get_objects()) - objects < 200
    # What the second thousand keeps is the newest events, which replaced the oldest ones.
    assert grown < 800_000 + sys.getsizeof([])


def test_a_scope_that_was_let_go_says_so():
    gradscope.watch(net=nn.Linear(1, 1))
    gc.collect()
    with pytest.raises(NothingWatchedError, match="keep it until the report"):
        gradscope.report()


@pytest.mark.parametrize("name", ["every", "to", "budget", "histograms", "expect_no_grad"])
def test_a_model_under_the_name_of_an_option(name):
    with pytest.raises(GradscopeError, match=rf"'{name}' is an option of watch\(\): give a model of that"):
        gradscope.watch(**{name: nn.Linear(1, 1)})


def test_a_tensor_that_is_no_leaf():
    with pytest.raises(NotTrainableError, match="'scale' holds a tensor that was computed from others"):
        gradscope.watch(scale=torch.ones(3, requires_grad=True) * 0.1)


def test_an_unknown_code_is_not_allowed():
    with gradscope.watch(net=nn.Linear(1, 1)) as scope:
        pass
    with pytest.raises(GradscopeError, match="no rule GS999"):
        scope.assert_flow(allow=["GS999"])


@pytest.mark.parametrize("name", ["encodr", "encoder.nothing", "encoder.weigh", "deetach"])
def test_a_name_that_means_nothing_is_not_allowed(parts, name):
    with gradscope.watch(encoder=parts[0], decoder=parts[1]) as scope:
        step(*parts)
    with pytest.raises(GradscopeError, match=f"allow names '{name}', .*; models: encoder, decoder"):
        scope.assert_flow(allow=["encoder", name])


@pytest.mark.parametrize("name", ["encoder", "encoder.weight", "GS101", "no-gradient", "detach"])
def test_a_name_that_means_something_may_be_allowed_in_vain(parts, name):
    with gradscope.watch(encoder=parts[0], decoder=parts[1]) as scope:
        step(*parts)
    scope.assert_flow(allow=[name])


def test_a_tensor_alone_is_called_by_its_name():
    weight, bias = torch.ones(3, requires_grad=True), torch.ones(3, requires_grad=True)
    with gradscope.watch(weight=weight, bias=bias) as scope:
        bias.sum().backward()
        report = scope.report()
    (finding,) = report.findings
    assert finding.message.startswith("weight gets no gradient")
    assert "params: weight (its 1 parameter)" in str(report)
    report.assert_flow(allow=["weight"])


def test_no_backward_is_no_success():
    with gradscope.watch(net=nn.Linear(1, 1)) as scope:
        pass
    assert str(scope.report()).startswith("! No backward pass was seen")


def test_gradients_that_come_without_a_backward_flow():
    net = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with gradscope.watch(net=net) as scope:
        for _ in range(2):
            slopes = torch.autograd.grad(net(torch.ones(1, 2)).sum(), list(net.parameters()))
            for parameter, slope in zip(net.parameters(), slopes, strict=True):
                parameter.grad = slope
            optimizer.step()
    assert str(scope.report()).startswith("\u2713 Gradients flow in the model")


@pytest.mark.parametrize("optimizer", ["SGD", "AdamW"])
def test_zeros_that_were_left_are_no_gradient(optimizer):
    first, second = nn.Linear(3, 2), nn.Linear(2, 1)
    optimizer = getattr(torch.optim, optimizer)([*first.parameters(), *second.parameters()], lr=0.1)
    second(first(torch.ones(1, 3))).sum().backward()
    with gradscope.watch(first=first, second=second) as scope:
        for _ in scope.steps(range(60)):
            optimizer.zero_grad(set_to_none=False)
            second(first(torch.randn(4, 3)).detach()).pow(2).mean().backward()
            optimizer.step()

    report = scope.report()

    assert [model.state.value for model in report.models] == ["none", "flowing"]
    assert [(f.code, f.model) for f in report.findings][:1] in ([("GS101", "first")], [("GS510", "first")])


def test_what_two_models_share_is_told_of_each():
    first, twin, last = nn.Linear(4, 3), nn.Linear(4, 3), nn.Linear(3, 1)
    twin.weight = first.weight
    optimizer = torch.optim.SGD([*first.parameters(), twin.bias, *last.parameters()], lr=0.1)
    with gradscope.watch(first=first, twin=twin, last=last) as scope:
        for _ in scope.steps(range(4)):
            x = torch.randn(8, 4)
            optimizer.zero_grad()
            last((first(x) + twin(x)).detach()).pow(2).mean().backward()
            optimizer.step()

    found = {finding.model: finding.parameters for finding in scope.report().findings}

    assert found == {"first": ("weight", "bias"), "twin": ("weight", "bias")}


def test_of_marks_within_marks_the_outer_ones_count(parts):
    encoder, decoder, optimizer = parts
    with gradscope.watch(encoder=encoder, decoder=decoder) as scope:
        for _ in scope.steps(range(4)):
            with scope.step():
                step(encoder, decoder, optimizer)
        assert scope.report().run.steps == 4


def test_steps_are_as_many_as_the_batches(parts):
    encoder, decoder, _ = parts
    with gradscope.watch(encoder=encoder, decoder=decoder) as scope:
        assert len(scope.steps([1, 2, 3])) == 3
        assert list(scope.steps(iter([1, 2]))) == [1, 2]
        assert scope.steps(iter([]))
        with pytest.raises(TypeError, match="no len"):
            len(scope.steps(iter([1, 2])))


def test_a_name_alone_is_expected_to_get_no_gradient(parts):
    encoder, decoder, optimizer = parts
    with gradscope.watch(encoder=encoder, decoder=decoder, expect_no_grad="encoder") as scope:
        for _ in scope.steps(range(5)):
            step(encoder, decoder, optimizer, cut=True)
    assert scope.report().ok


def test_wrong_use_of_a_scope_is_told(parts):
    encoder, decoder, _ = parts
    scope = gradscope.watch(encoder=encoder)
    with pytest.raises(GradscopeError, match=r"scope\.step\(\) takes the function that does one step, and 3 is none"):
        scope.step(3)
    with pytest.raises(GradscopeError, match=r"nothing to add: call scope\.add"):
        scope.add()
    scope.close()
    with pytest.raises(GradscopeError, match="cannot watch decoder: this scope is closed"):
        scope.add(decoder=decoder)


@pytest.mark.parametrize("step", [nn.Linear(2, 2), 3])
def test_what_is_no_step_cannot_be_explained(step):
    with pytest.raises(gradscope.errors.GradscopeError, match=r"needs a function that does one"):
        gradscope.explain(step, model=nn.Linear(2, 2))
