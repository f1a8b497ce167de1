"""Watching: every situation of an unchanged loop."""

from __future__ import annotations

import copy
import math
import threading

import pytest
import torch
from torch import nn

import gradscope
from gradscope.records import Clear, Run


def mlp(out: int = 2) -> nn.Module:
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, out))


def uid(run: Run, model: str, fqn: str) -> int:
    """The uid behind a name."""
    return next(u for u, p in run.parameters.items() if any((o.model, o.fqn) == (model, fqn) for o in p.owners))


def facts(scope):
    return scope.report().run


def counts(scope, model: str = "model") -> dict[str, int]:
    """Backward passes that delivered, per fqn."""
    run = facts(scope)
    names = {o.fqn: u for u, p in run.parameters.items() for o in p.owners if o.model == model}
    return {fqn: run.tallies[u].backwards if u in run.tallies else 0 for fqn, u in names.items()}


def train(model, optimizer, steps: int = 4, scale: float = 1.0) -> None:
    for _ in range(steps):
        optimizer.zero_grad()
        (model(torch.randn(3, 4)) * scale).sum().backward()
        optimizer.step()


# --- which parameters ---------------------------------------------------------------------------------------------


def test_a_parameter_of_several_models_is_told_to_each():
    shared = nn.Linear(4, 4)
    a, b = nn.Sequential(shared, nn.Linear(4, 2)), nn.Sequential(shared)
    with gradscope.watch(a=a, b=b) as scope:
        a(torch.randn(3, 4)).sum().backward()
        b(torch.randn(3, 4)).sum().backward()
        run = facts(scope)
    assert {(o.model, o.fqn) for o in run.parameters[uid(run, "a", "0.weight")].owners} == {
        ("a", "0.weight"),
        ("b", "0.weight"),
    }
    assert counts(scope, "a") == {"0.weight": 2, "0.bias": 2, "1.weight": 1, "1.bias": 1}
    assert counts(scope, "b") == {"0.weight": 2, "0.bias": 2}


def test_a_tied_weight_has_both_names():
    model = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False))
    model[1].weight = model[0].weight
    with gradscope.watch(model=model) as scope:
        model(torch.randn(3, 4)).sum().backward()
        run = facts(scope)
    assert [o.fqn for o in run.parameters[0].owners] == ["0.weight", "1.weight"]
    assert run.tallies[0].backwards == 1


def test_a_module_inside_another():
    model = mlp()
    with gradscope.watch(whole=model, part=model[0]) as scope:
        model(torch.randn(3, 4)).sum().backward()
        run = facts(scope)
    assert [m.name for m in run.models] == ["whole", "part"]
    assert set(run.models[1].parameters) < set(run.models[0].parameters)
    assert counts(scope, "part") == {"weight": 1, "bias": 1}


def test_a_model_added_after_training_began():
    model, late = mlp(), mlp()
    optimizer = torch.optim.SGD([*model.parameters(), *late.parameters()], lr=0.1)
    with gradscope.watch(model=model) as scope:
        train(model, optimizer, 2)
        scope.add(late=late)
        train(late, optimizer, 3)
        assert set(counts(scope, "late").values()) == {3}
        assert set(counts(scope).values()) == {2}


@pytest.mark.parametrize("change", ["double", "to", "bfloat16", "load", "assign"])
def test_moved_and_loaded_parameters_stay_the_same(change):
    model = mlp()
    other = mlp().state_dict()
    with gradscope.watch(model=model) as scope:
        model(torch.randn(3, 4)).sum().backward()
        dtype = torch.float32
        if change in ("double", "to"):
            model.to(torch.float64)
            dtype = torch.float64
        elif change == "bfloat16":
            model.bfloat16()
            dtype = torch.bfloat16
        else:
            model.load_state_dict(other, assign=change == "assign")
        with scope.step():
            pass
        model.zero_grad()
        model(torch.randn(3, 4, dtype=dtype)).sum().backward()
        run = facts(scope)
    assert set(counts(scope).values()) == {2}
    assert len(run.parameters) == 4
    assert {p.dtype for p in run.parameters.values()} == {str(dtype).removeprefix("torch.")}


def test_an_embedding_is_resized_before_the_optimizer_is_built():
    model = nn.ModuleDict({"embed": nn.Embedding(5, 4), "head": nn.Linear(4, 2)})
    with gradscope.watch(model=model) as scope:
        model["embed"] = nn.Embedding(7, 4)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            model["head"](model["embed"](torch.tensor([1, 6]))).sum().backward()
            optimizer.step()
        run = facts(scope)
    assert run.parameters[uid(run, "model", "embed.weight")].shape == (7, 4)
    assert counts(scope)["embed.weight"] == 3, "also the pass before the first look"


def test_a_parameter_added_later_is_hooked():
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with gradscope.watch(model=model) as scope:
        train(model, optimizer, 2)
        model.append(nn.Linear(2, 2))
        optimizer.add_param_group({"params": model[3].parameters()})
        train(model, optimizer, 3)
        run = facts(scope)
    assert counts(scope)["3.weight"] == 3
    assert run.parameters[uid(run, "model", "3.weight")].late
    assert run.optimizers[0].added[-1][-1].text == 'optimizer.add_param_group({"params": model[3].parameters()})'


def test_weight_norm_added_later():
    model = mlp()
    with gradscope.watch(model=model) as scope:
        nn.utils.parametrizations.weight_norm(model[0])
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        train(model, optimizer, 3)
    assert counts(scope)["0.parametrizations.weight.original0"] == 3


def test_a_frozen_parameter_is_hooked_when_it_is_thawed():
    model = mlp()
    model[0].requires_grad_(False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with gradscope.watch(model=model) as scope:
        train(model, optimizer, 2)
        model[0].requires_grad_(True)
        train(model, optimizer, 3)
        run = facts(scope)
    assert counts(scope)["0.weight"] == 3
    tally = run.tallies[uid(run, "model", "0.weight")]
    assert (tally.steps, tally.steps_none, tally.trainable_steps) == (5, 2, 3)
    assert tally.none_streak == 0


def test_a_frozen_parameter_that_is_thawed_by_the_user_s_step():
    model = mlp()
    model[0].requires_grad_(False)
    with gradscope.watch(model=model) as scope:
        with scope.step():
            model(torch.randn(3, 4)).sum().backward()
            model[0].requires_grad_(True)
        with scope.step():
            model(torch.randn(3, 4)).sum().backward()
    assert counts(scope)["0.weight"] == 1


def test_lazy_modules():
    model = nn.Sequential(nn.LazyLinear(5), nn.Tanh(), nn.LazyLinear(2))
    with gradscope.watch(model=model) as scope:
        model(torch.randn(3, 4)).sum().backward()
        run = facts(scope)
    assert set(counts(scope).values()) == {1}
    assert run.parameters[uid(run, "model", "0.weight")].shape == (5, 4)


def test_sparse_complex_and_half_gradients():
    model = nn.ParameterDict(
        {
            "sparse": nn.Parameter(torch.randn(5, 3)),
            "complex": nn.Parameter(torch.randn(3, dtype=torch.complex64)),
            "fp16": nn.Parameter(torch.full((3,), 200.0, dtype=torch.float16)),
            "brain": nn.Parameter(torch.randn(3, dtype=torch.bfloat16)),
        }
    )
    with gradscope.watch(model=model) as scope:
        rows = nn.functional.embedding(torch.tensor([1, 1, 2]), model["sparse"], sparse=True)
        loss = rows.sum() + (model["complex"] * (1 + 2j)).abs().sum() + (model["fp16"] * 300).float().sum()
        (loss + model["brain"].float().sum()).backward()
        run = facts(scope)
    norms = run.backward_events[0].norms
    assert norms[uid(run, "model", "sparse")] == pytest.approx(math.sqrt(3 * 4 + 3))
    assert norms[uid(run, "model", "complex")] == pytest.approx(torch.linalg.vector_norm(model["complex"].grad).item())
    assert norms[uid(run, "model", "fp16")] == pytest.approx(300 * math.sqrt(3))
    assert norms[uid(run, "model", "brain")] == pytest.approx(math.sqrt(3))


@pytest.mark.parametrize(("value", "norm"), [(1e-30, 2e-30), (1e25, 2e25), (0.0, 0.0)])
def test_underflow_is_not_zero_and_overflow_not_infinite(value, norm):
    weight = nn.Parameter(torch.ones(4))
    with gradscope.watch(weights=[("w", weight)]) as scope:
        (weight * value).sum().backward()
        run = facts(scope)
    assert run.backward_events[0].norms[0] == pytest.approx(norm, rel=1e-3)


def test_tensors_without_a_module():
    weight, bias = torch.randn(4, 2, requires_grad=True), torch.zeros(2, requires_grad=True)
    with gradscope.watch(layer=[weight, bias], named=[("b", bias)]) as scope:
        (torch.randn(3, 4) @ weight + bias).sum().backward()
    assert counts(scope, "layer") == {"0": 1, "1": 1}
    assert counts(scope, "named") == {"b": 1}


# --- backward -----------------------------------------------------------------------------------------------------


def test_accumulation_is_told_from_a_fresh_gradient():
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with gradscope.watch(model=model) as scope:
        for i in range(6):
            model(torch.randn(3, 4)).sum().backward()
            if i % 3 == 2:
                optimizer.step()
                optimizer.zero_grad()
        run = facts(scope)
    assert [len(e.added) for e in run.backward_events] == [0, 4, 4, 0, 4, 4]
    assert [e.step for e in run.backward_events] == [0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize("traced", [False, True])
def test_zeros_left_by_zero_grad_are_not_added_to(traced):
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with gradscope.watch(model=model) as scope:
        if traced:
            scope._capture.start_tracing()
        for _ in range(4):
            optimizer.zero_grad(set_to_none=False)
            model(torch.randn(3, 4)).sum().backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        run = facts(scope)
    assert [len(e.added) for e in run.backward_events] == [0, 0, 0, 0]
    clears = [e for e in run.events if isinstance(e, Clear)]
    assert [c.to_none for c in clears] == [False] * 3
    assert scope.report().ok


def test_gradients_never_cleared_are_added_to():
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with gradscope.watch(model=model) as scope:
        for _ in range(4):
            model(torch.randn(3, 4)).sum().backward()
            optimizer.step()
        run = facts(scope)
    assert [len(e.added) for e in run.backward_events] == [0, 4, 4, 4]
    assert [f.cause for f in scope.report().findings] == ["missing_zero_grad"]


def test_several_backwards_and_a_retained_graph():
    model = mlp()
    with gradscope.watch(model=model) as scope:
        out = model(torch.randn(3, 4))
        out.sum().backward(retain_graph=True)
        out.pow(2).sum().backward()
        run = facts(scope)
    lines = [e.location.text for e in run.backward_events]
    assert lines == ["out.sum().backward(retain_graph=True)", "out.pow(2).sum().backward()"]


def test_autograd_grad_delivers_nothing():
    model = mlp()
    with gradscope.watch(model=model) as scope:
        torch.autograd.grad(model(torch.randn(3, 4)).sum(), list(model.parameters()))
        assert facts(scope).backwards == 0


@pytest.mark.filterwarnings("ignore:Using backward")
def test_create_graph():
    model = mlp()
    with gradscope.watch(model=model) as scope:
        model(torch.randn(3, 4)).pow(2).sum().backward(create_graph=True)
        sum(p.grad.pow(2).sum() for p in model.parameters()).backward()
        run = facts(scope)
    assert run.backwards == 2
    for p in model.parameters():
        p.grad = None


@pytest.mark.parametrize("reentrant", [False, True])
def test_a_checkpoint_is_one_pass(reentrant):
    from torch.utils.checkpoint import checkpoint

    model = mlp()
    with gradscope.watch(model=model) as scope:
        x = torch.randn(3, 4, requires_grad=True)
        h = checkpoint(model[0], x, use_reentrant=reentrant)
        h = checkpoint(nn.Sequential(model[1], model[2]), h, use_reentrant=reentrant)
        h.sum().backward()
        run = facts(scope)
    assert len(run.backward_events) == 1
    assert len(run.backward_events[0].norms) == 4


def test_a_backward_that_fails_does_not_leak_into_the_next():
    model = mlp()

    def explode(grad):
        raise KeyboardInterrupt

    with gradscope.watch(model=model) as scope:
        h = model[0](torch.randn(3, 4))
        h.register_hook(explode)
        with pytest.raises(KeyboardInterrupt):
            model[2](model[1](h)).sum().backward()
        model.zero_grad()
        model(torch.randn(3, 4)).sum().backward()
        run = facts(scope)
    failed, whole = run.backward_events
    assert set(failed.norms) <= {2, 3}
    assert set(whole.norms) == {0, 1, 2, 3}


def test_an_exception_inside_the_step():
    model = mlp()
    with gradscope.watch(model=model) as scope:

        @scope.step
        def fail() -> None:
            model(torch.randn(3, 4)).sum().backward()
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail()
        with scope.step():
            model(torch.randn(3, 4)).sum().backward()
        run = facts(scope)
    assert [e.step for e in run.backward_events] == [0, 1]
    assert run.steps == 2


def test_a_step_in_a_worker_thread():
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with gradscope.watch(model=model) as scope:
        thread = threading.Thread(target=train, args=(model, optimizer, 3))
        thread.start()
        thread.join()
        run = facts(scope)
    assert set(counts(scope).values()) == {3}
    assert run.backward_events[0].location.text == "(model(torch.randn(3, 4)) * scale).sum().backward()"


def test_a_hook_that_steps_and_frees_the_gradient_at_once():
    """The optimizer in the backward: no gradient is left when the pass is over."""
    model = mlp()
    optimizers = {p: torch.optim.SGD([p], lr=0.1) for p in model.parameters()}

    def step(param):
        optimizers[param].step()
        optimizers[param].zero_grad()

    with gradscope.watch(model=model) as scope:
        handles = [p.register_post_accumulate_grad_hook(step) for p in model.parameters()]
        for _ in range(3):
            model(torch.randn(3, 4)).sum().backward()
        run = facts(scope)
        for handle in handles:
            handle.remove()
    assert run.backwards == 3
    assert set(counts(scope).values()) == {3}
    assert all(not e.added for e in run.backward_events)


# --- optimizers ---------------------------------------------------------------------------------------------------


def test_several_optimizers_before_and_after_watch():
    a, b = mlp(), mlp()
    first = torch.optim.SGD(a.parameters(), lr=0.1)
    with gradscope.watch(a=a, b=b) as scope:
        second = torch.optim.Adam(b.parameters(), lr=0.1)
        for _ in range(3):
            for model, optimizer in ((a, first), (b, second)):
                optimizer.zero_grad()
                model(torch.randn(3, 4)).sum().backward()
                optimizer.step()
        run = facts(scope)
    assert [(o.name, o.class_name, o.steps) for o in run.optimizers] == [("first", "SGD", 3), ("second", "Adam", 3)]
    assert [o.built[-1].text for o in run.optimizers] == [
        "first = torch.optim.SGD(a.parameters(), lr=0.1)",
        "second = torch.optim.Adam(b.parameters(), lr=0.1)",
    ]


def test_lbfgs_with_a_closure():
    model = mlp()
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.1, max_iter=3)
    x = torch.randn(3, 4)

    def closure():
        optimizer.zero_grad()
        loss = model(x).pow(2).sum()
        loss.backward()
        return loss

    with gradscope.watch(model=model) as scope:
        for _ in range(3):
            optimizer.step(closure)
        run = facts(scope)
    assert scope.report().ok
    assert run.tallies[0].steps == 3
    assert run.tallies[0].steps_none == 0
    assert run.backwards > 3


def test_gradients_written_by_hand():
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with gradscope.watch(model=model) as scope:
        for _ in range(4):
            optimizer.zero_grad()
            grads = torch.autograd.grad(model(torch.randn(3, 4)).sum(), list(model.parameters()))
            for p, g in zip(model.parameters(), grads, strict=True):
                p.grad = g
            optimizer.step()
        run = facts(scope)
    assert all(len(e.norms) == 4 for e in run.step_events)
    assert scope.report().ok


def test_every_measures_seldom_and_knows_who():
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with gradscope.watch(model=model, every=3) as scope:
        train(model, optimizer, 7)
        run = facts(scope)
    assert [e.norms[0] is not None for e in run.backward_events] == [True, False, False] * 2 + [True]
    assert run.tallies[0].backwards == 7
    assert run.tallies[0].measured == 3


def test_a_copy_and_a_pickle_carry_no_hooks():
    import io

    model = mlp()
    with gradscope.watch(model=model):
        twin = copy.deepcopy(model)
        assert not any(p._post_accumulate_grad_hooks for p in twin.parameters())
        buffer = io.BytesIO()
        torch.save(model, buffer)
        buffer.seek(0)
        assert not any(p._post_accumulate_grad_hooks for p in torch.load(buffer, weights_only=False).parameters())


def test_every_second_pass_of_each_line_is_measured():
    """Two passes per turn: counted together, one of them would never be measured."""
    a, b = mlp(), mlp()
    with gradscope.watch(a=a, b=b, every=2) as scope:
        for _ in range(6):
            a(torch.randn(3, 4)).sum().backward()
            b(torch.randn(3, 4)).sum().backward()
        run = facts(scope)
    for name in ("a", "b"):
        assert run.tallies[uid(run, name, "0.weight")].measured == 3
        assert run.tallies[uid(run, name, "0.weight")].backwards == 6


def test_an_optimizer_that_was_given_a_parameter_twice():
    first, second = nn.Linear(3, 2), nn.Linear(2, 1)
    with pytest.warns(UserWarning, match="duplicate parameters"):
        optimizer = torch.optim.SGD([*first.parameters(), *second.parameters(), *second.parameters()], lr=0.1)
    with gradscope.watch(first=first, second=second) as scope:
        for _ in range(2):
            optimizer.zero_grad()
            second(first(torch.randn(4, 3))).sum().backward()
            nn.utils.clip_grad_norm_(first.parameters(), 0.1)
            expected = [p.grad.norm().item() for p in (*first.parameters(), *second.parameters())]
            optimizer.step()

    step = scope.report().run.step_events[-1]

    assert sorted(norm for _, norm in step.norms.items()) == pytest.approx(sorted(expected))


class Headed(nn.Module):
    """A body and a head that can be replaced."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(4, 3)
        self.head = nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.tanh(self.body(x)))


@pytest.mark.parametrize("when", ["before watch", "after watch", "twice", "before its first step", "in the run"])
def test_a_module_replaced_behind_the_optimizer_is_stale_whenever_the_optimizer_becomes_known(when):
    model = Headed()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    if when == "before watch":
        model.head = nn.Linear(3, 5)
    with gradscope.watch(model=model) as scope:
        if when == "after watch":
            model.head = nn.Linear(3, 5)
        if when == "twice":
            model.head = nn.Linear(3, 5)
            scope.report()
            model.head = nn.Linear(3, 6)
        for step in scope.steps(range(12)):
            if (when, step) in (("in the run", 5), ("before its first step", 2)):
                model.head = nn.Linear(3, 5)
            loss = model(torch.randn(3, 4)).pow(2).mean()
            optimizer.zero_grad()
            loss.backward()
            if when != "before its first step" or step > 3:
                optimizer.step()
        (finding,) = scope.report().findings

    assert (finding.code, finding.cause) == ("GS501", "stale_parameter")
    assert finding.location is not None
    assert "torch.optim.SGD(model.parameters()" in finding.location.text
    assert finding.parameters == ("head.weight", "head.bias")


def test_an_optimizer_built_after_the_replacement_holds_all_there_is():
    model = Headed()
    with gradscope.watch(model=model) as scope:
        old = model.head
        model.head = nn.Linear(3, 5)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        train(model, optimizer)
        report = scope.report()
    assert report.ok
    assert len(report.run.parameters) == 4
    assert not any(p._post_accumulate_grad_hooks for p in old.parameters())
