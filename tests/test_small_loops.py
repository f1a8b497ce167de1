"""Small loops, each once wrongly judged, and what is said of them now."""

from __future__ import annotations

import contextlib
import copy

import pytest
import torch
from torch import nn

import gradscope
from gradscope.session import Session


def sgd(*modules: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD([p for module in modules for p in module.parameters()], lr=0.01)


def said(report) -> list[tuple[str, str]]:
    return [(finding.code, finding.cause) for finding in report.findings]


@pytest.mark.parametrize("clip", [True, False])
def test_an_auxiliary_head_that_is_dropped_leaves_zeros_and_no_stale_gradients(clip):
    backbone, head, auxiliary = nn.Linear(4, 8), nn.Linear(8, 2), nn.Linear(8, 2)
    optimizer = sgd(backbone, head, auxiliary)
    with gradscope.watch(backbone=backbone, head=head, auxiliary=auxiliary) as scope:
        for step in range(40):
            hidden = backbone(torch.randn(8, 4))
            loss = head(hidden).pow(2).mean()
            if step < 10:
                loss = loss + auxiliary(hidden).pow(2).mean()
            optimizer.zero_grad(set_to_none=False)
            loss.backward()
            if clip:
                nn.utils.clip_grad_norm_(backbone.parameters(), 1.0)
            optimizer.step()
        report = scope.report()
    assert said(report) == [("GS104", "unknown")]
    assert report.findings[0].severity == "info"
    assert [model.state for model in report.models] == ["flowing", "flowing", "intermittent"]


def test_gradients_that_are_never_zeroed_are_told_although_they_are_clipped():
    encoder, decoder = nn.Linear(4, 8), nn.Linear(8, 2)
    optimizer = sgd(encoder, decoder)
    with gradscope.watch(encoder=encoder, decoder=decoder) as scope:
        for _ in range(12):
            decoder(encoder(torch.randn(8, 4))).pow(2).mean().backward()
            nn.utils.clip_grad_norm_(encoder.parameters(), 1.0)
            optimizer.step()
        assert ("GS506", "missing_zero_grad") in said(scope.report())


def test_one_gradient_stepped_by_two_optimizers_is_one_finding():
    encoder, decoder = nn.Linear(4, 8), nn.Linear(8, 2)
    first, second = sgd(encoder, decoder), sgd(encoder)
    with Session() as session:
        for _ in range(8):
            first.zero_grad()
            second.zero_grad()
            decoder(encoder(torch.randn(8, 4))).pow(2).mean().backward()
            first.step()
            second.step()
        assert said(session.report()) == [("GS502", "in_two_optimizers")]


def test_nan_written_into_grad_is_told_and_is_the_state():
    encoder = nn.Linear(4, 2)
    optimizer = sgd(encoder)
    with Session() as session:
        for _ in range(4):
            loss = encoder(torch.randn(8, 4)).pow(2).mean()
            for parameter, gradient in zip(
                encoder.parameters(), torch.autograd.grad(loss, list(encoder.parameters())), strict=True
            ):
                parameter.grad = gradient * float("nan")
            optimizer.step()
        report = session.report()

    (finding,) = report.findings
    assert finding.code == "GS301"
    assert finding.location is not None
    assert finding.location.text == 'parameter.grad = gradient * float("nan")'
    assert report.to_dict()["models"][0]["state"] == "nonfinite"


@pytest.mark.parametrize("seed", [0, 215])  # with the latter the bias gets NaN and the weight Inf
def test_an_overflow_without_an_exponential_is_not_called_one(seed):
    torch.manual_seed(seed)
    encoder = nn.Linear(4, 2)
    optimizer = sgd(encoder)
    with Session() as session:
        for _ in range(4):
            optimizer.zero_grad()
            loss = encoder(torch.randn(8, 4)).pow(2).mean() * 1e30
            (loss * 2.0**40).backward()
            optimizer.step()
        (finding,) = session.report().findings

    assert "exponential" not in finding.message
    assert "grows beyond what its dtype can hold" in finding.message


def pretrain() -> None:
    other = nn.Linear(4, 2)
    optimizer = sgd(other)
    other(torch.randn(2, 4)).sum().backward()
    optimizer.step()


def test_the_step_of_another_variable_of_that_name_is_not_blamed():
    encoder, decoder = nn.Linear(4, 3), nn.Linear(3, 2)
    optimizer = torch.optim.SGD(encoder.parameters(), lr=0.1)
    stepped = torch.optim.SGD(decoder.parameters(), lr=0.1)
    with Session() as session:
        pretrain()
        for _ in range(6):
            optimizer.zero_grad()
            stepped.zero_grad()
            decoder(encoder(torch.randn(8, 4))).pow(2).mean().backward()
            stepped.step()
        (finding,) = [f for f in session.report().findings if f.code == "GS503"]

    assert finding.cause == "missing_step"


def zeros(*modules: nn.Module) -> None:
    for module in modules:
        for parameter in module.parameters():
            parameter.grad = torch.zeros_like(parameter)


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("way", ["assigned", "zero_"])
def test_zeros_put_over_a_gradient_before_the_step_are_told(way, whole):
    encoder, decoder = nn.Linear(4, 4), nn.Linear(4, 1)
    optimizer = sgd(encoder, decoder)
    hit = (encoder, decoder) if whole else (encoder,)
    with gradscope.watch(encoder=encoder, decoder=decoder) as scope:
        for _ in range(8):
            optimizer.zero_grad()
            decoder(encoder(torch.randn(3, 4))).sum().backward()
            if way == "assigned":
                zeros(*hit)
            for module in hit:
                for parameter in module.parameters():
                    parameter.grad.zero_()
            optimizer.step()
        report = scope.report()
    assert {(f.code, f.model, f.cause) for f in report.findings} == {
        ("GS507", name, "zeroed_before_step") for name in ("encoder", "decoder")[: len(hit)]
    }


def test_zeros_put_over_the_gradient_now_and_then_are_no_loss():
    model = nn.Linear(4, 1)
    optimizer = sgd(model)
    with gradscope.watch(model=model) as scope:
        for turn in range(8):
            optimizer.zero_grad()
            model(torch.randn(3, 4)).sum().backward()
            if turn < 2:
                zeros(model)
            optimizer.step()
        assert said(scope.report()) == []


def test_zeros_by_hand_that_hide_a_cut_are_traced_to_it():
    encoder, decoder = nn.Linear(4, 4), nn.Linear(4, 1)
    optimizer = sgd(encoder, decoder)
    with gradscope.watch(encoder=encoder, decoder=decoder) as scope:
        for _ in scope.steps(range(6)):
            optimizer.zero_grad()
            decoder(encoder(torch.randn(3, 4)).detach()).sum().backward()
            zeros(encoder)
            optimizer.step()
        report = scope.report()
    assert said(report) == [("GS101", "detach")]
    assert report.models[0].state == "none"


def test_zeros_by_hand_without_any_backward_are_no_gradient():
    model = nn.Linear(4, 1)
    optimizer = sgd(model)
    with gradscope.watch(model=model) as scope:
        for _ in range(4):
            zeros(model)
            optimizer.step()
        assert said(scope.report()) == [("GS101", "unknown")]


@pytest.mark.parametrize("marked", [False, True])
def test_a_loop_without_an_optimizer_says_no_gradient_and_finds_the_line_where_steps_are_marked(marked):
    encoder, decoder = nn.Linear(4, 4), nn.Linear(4, 1)
    with gradscope.watch(encoder=encoder, decoder=decoder) as scope:
        for _ in scope.steps(range(6)) if marked else range(6):
            decoder(encoder(torch.randn(3, 4)).detach()).sum().backward()
            with torch.no_grad():
                for parameter in decoder.parameters():
                    parameter.sub_(0.01 * parameter.grad)
                    parameter.grad = None
        report = scope.report()
    assert said(report) == [("GS101", "detach" if marked else "unknown")]
    assert [model.state for model in report.models] == ["none", "flowing"]
    assert report.run.traced == marked
    assert ("mark whole turns" in report.findings[0].fix) is not marked


def test_a_marked_loop_is_not_told_to_mark_its_steps():
    encoder, decoder = nn.Linear(4, 4), nn.Linear(4, 1)
    with gradscope.watch(encoder=encoder, decoder=decoder) as scope:
        for _ in scope.steps(range(1)):
            decoder(encoder(torch.randn(3, 4)).detach()).sum().backward()
        (finding,) = scope.report().findings
    assert finding.fix == "use `gradscope run` to learn the line"


@pytest.mark.parametrize("to_none", [True, False])
def test_a_model_that_is_cut_after_the_first_step_does_not_count_as_flowing(to_none):
    encoder, decoder = nn.Linear(4, 4), nn.Linear(4, 1)
    optimizer = sgd(encoder, decoder)
    with gradscope.watch(encoder=encoder, decoder=decoder) as scope:
        for step in range(12):
            optimizer.zero_grad(set_to_none=to_none)
            hidden = encoder(torch.randn(3, 4))
            decoder(hidden.detach() if step else hidden).sum().backward()
            optimizer.step()
        report = scope.report()
    (finding,) = report.findings
    assert (finding.code, finding.model, finding.state, finding.severity) == ("GS104", "encoder", "none", "info")
    assert "at the last 11 of the 12 steps" in finding.message
    assert str(report).startswith("~ Gradients flow in 1 of 2 models; encoder: none any more")
    assert report.models[0].state == "intermittent"
    report.assert_flow(warnings=True)


@pytest.mark.parametrize(("rare", "said"), [(False, "~"), (True, "\u2713")])
def test_a_model_that_dies_late_does_not_count_as_flowing_if_it_had_flown_all_along(rare, said):
    encoder, decoder = nn.Linear(4, 4), nn.Linear(4, 1)
    optimizer = sgd(encoder, decoder)
    with gradscope.watch(encoder=encoder, decoder=decoder) as scope:
        for step in range(60):
            optimizer.zero_grad()
            hidden = encoder(torch.randn(3, 4))
            decoder(hidden.detach() if step >= 50 or (rare and step % 7 == 3) else hidden).sum().backward()
            optimizer.step()
        report = scope.report()
    assert str(report).startswith(said)
    assert {f.severity for f in report.findings} == {"info"}


def test_experts_come_and_go_and_that_is_info():
    experts, head = nn.ModuleList(nn.Linear(4, 4) for _ in range(4)), nn.Linear(4, 1)
    optimizer = sgd(experts, head)
    with gradscope.watch(experts=experts, head=head) as scope:
        for turn in range(24):
            optimizer.zero_grad()
            head(experts[turn * 7 // 3 % 4](torch.randn(3, 4))).sum().backward()
            optimizer.step()
        report = scope.report()
    assert {(f.code, f.severity, f.state) for f in report.findings} == {("GS104", "info", "intermittent")}
    assert "Gradients flow in both models" in str(report)


def test_one_step_before_the_first_backward_is_not_told():
    model = nn.Linear(4, 1)
    optimizer = sgd(model)
    with gradscope.watch(model=model) as scope:
        optimizer.step()
        for _ in range(8):
            optimizer.zero_grad()
            model(torch.randn(3, 4)).sum().backward()
            optimizer.step()
        assert said(scope.report()) == []


def test_a_part_frozen_half_way_is_not_told():
    model, head = nn.Linear(4, 4), nn.Linear(4, 1)
    optimizer = sgd(model, head)
    with gradscope.watch(model=model, head=head) as scope:
        for turn in range(12):
            model.requires_grad_(turn < 6)
            optimizer.zero_grad()
            head(model(torch.randn(3, 4))).sum().backward()
            optimizer.step()
        assert not [f for f in scope.report().findings if f.code == "GS104"]


def test_values_that_a_tensor_takes_by_data_are_told_as_that():
    torch.manual_seed(0)
    encoder, head, state = nn.Linear(4, 4), nn.Linear(4, 2), torch.zeros(8, 4)
    optimizer = torch.optim.SGD([*encoder.parameters(), *head.parameters()], 0.1)

    def step():
        state.data = encoder(torch.randn(8, 4))  # here
        optimizer.zero_grad()
        head(state).square().mean().backward()
        optimizer.step()

    (finding,) = gradscope.explain(step, repeat=3, encoder=encoder, head=head).findings

    assert (finding.model, finding.cause) == ("encoder", "data")
    assert "# here" in finding.location.text


@pytest.mark.parametrize("thaws", [False, True])
def test_a_model_that_each_turn_freezes_and_whose_own_optimizer_waits_for_it(thaws):
    torch.manual_seed(0)
    maker, critic = nn.Linear(4, 4), nn.Linear(4, 1)
    makes, judges = (torch.optim.SGD(m.parameters(), 0.01) for m in (maker, critic))

    def step():
        made = maker(torch.randn(8, 4))
        critic.requires_grad_(False)  # here
        makes.zero_grad()
        critic(made).mean().backward()
        makes.step()
        if thaws:
            critic.requires_grad_(True)
        loss = critic(torch.randn(8, 4)).square().mean() - critic(made.detach()).mean()
        judges.zero_grad()
        if loss.requires_grad:
            loss.backward()
            judges.step()

    found = gradscope.explain(step, repeat=8, maker=maker, critic=critic).findings

    assert [(f.code, f.model) for f in found] == ([] if thaws else [("GS103", "critic")])
    assert all("# here" in f.location.text for f in found)


def test_a_model_that_was_trained_and_then_frozen_does_not_count_as_flowing():
    torch.manual_seed(0)
    encoder, head = nn.Linear(4, 4), nn.Linear(4, 2)
    optimizer = torch.optim.SGD([*encoder.parameters(), *head.parameters()], 0.1)

    def step():
        optimizer.zero_grad()
        head(encoder(torch.randn(8, 4))).square().mean().backward()
        optimizer.step()

    with gradscope.watch(encoder=encoder, head=head) as scope:
        for turn in scope.steps(range(8)):
            if turn == 4:
                encoder.requires_grad_(False)
            step()
        said = str(scope.report())

    assert "Gradients flow in 1 of 2 models; encoder: frozen since it was trained" in said


@pytest.mark.parametrize("groups", [8, 4])
def test_a_group_norm_over_single_elements_lets_nothing_through(groups):
    torch.manual_seed(0)
    encoder, norm, head = nn.Linear(4, 8), nn.GroupNorm(groups, 8), nn.Linear(8, 2)
    optimizer = torch.optim.Adam([p for m in (encoder, norm, head) for p in m.parameters()])

    def step():
        hidden = norm(encoder(torch.randn(16, 4)))  # here
        optimizer.zero_grad()
        nn.functional.cross_entropy(head(hidden), torch.randint(0, 2, (16,))).backward()
        optimizer.step()

    found = gradscope.explain(step, repeat=6, encoder=encoder, norm=norm, head=head).findings

    assert ("encoder" in {f.model for f in found}) == (groups == 8)
    assert {f.cause for f in found} == ({"constant_output"} if groups == 8 else set())
    assert all("# here" in f.location.text for f in found)


def test_a_frozen_model_is_no_finding_and_the_line_that_froze_it_is_said():
    torch.manual_seed(0)
    encoder, head = nn.Linear(4, 4), nn.Linear(4, 2)
    with Session() as session:
        optimizer = torch.optim.SGD([*encoder.parameters(), *head.parameters()], 0.1)
        encoder.requires_grad_(False)  # here
        for _ in range(4):
            optimizer.zero_grad()
            head(encoder(torch.randn(8, 4))).square().mean().backward()
            optimizer.step()
        report = session.report()

    assert report.ok
    (frozen,) = {p.frozen_at[-1] for p in report.run.parameters.values() if p.frozen_at}
    assert frozen.text.endswith("# here")
    assert f"encoder: frozen at {frozen} (" in str(report)


@pytest.mark.parametrize("copied", [False, True])
def test_a_script_that_fails_at_its_first_backward_is_told_why_and_nothing_of_what_it_did_not_reach(copied):
    torch.manual_seed(0)
    first, second = nn.Linear(4, 1), nn.Linear(4, 1)
    nets = copy.deepcopy([first, second]) if copied else [first, second]
    optimizer = torch.optim.SGD([p for net in nets for p in net.parameters()], 0.1)
    with Session() as session, contextlib.suppress(RuntimeError):
        for net in nets:
            net(torch.randn(8, 4)).square().mean().detach().backward()  # here
            optimizer.step()
    found = session.report().findings

    assert [f.cause for f in found] == ["detach"]
    assert found[0].location.text.endswith("# here")


@pytest.mark.parametrize(
    ("make", "held", "told"), [(copy.copy, True, True), (copy.copy, False, False), (copy.deepcopy, True, False)]
)
def test_a_shallow_copy_that_is_frozen_freezes_the_model(make, held, told):
    torch.manual_seed(0)
    actor, critic = nn.Linear(4, 2), nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1))
    with Session() as session:
        target = make(critic).requires_grad_(False)
        optimizer = sgd(actor, critic) if held else sgd(actor)
        for _ in range(5):
            optimizer.zero_grad()
            action = actor(torch.randn(8, 4))
            (critic(action) - 1.0 - 0.9 * target(action.detach())).square().mean().backward()
            optimizer.step()
        found = [f for f in session.report().findings if f.severity != "info"]

    assert {f.code for f in found} == ({"GS103"} if told else set())
    assert all("copy.deepcopy()" in f.fix for f in found)


def test_the_model_of_a_function_in_which_backward_fails_is_named():
    """When the report is made, nothing holds it any more."""

    def warm_up():
        critic = nn.Linear(3, 1)
        optimizer = sgd(critic)
        critic(torch.randn(8, 3)).mean().detach().backward()  # here
        optimizer.step()

    with Session() as session, contextlib.suppress(RuntimeError):
        warm_up()
    (finding,) = session.report().findings

    assert (finding.model, finding.cause) == ("critic", "detach")


def test_where_nothing_flows_there_is_no_tick():
    net = nn.Linear(3, 1)
    scope = gradscope.watch(net=net)
    torch.randn(2, requires_grad=True).sum().backward()
    report = scope.report()

    assert not str(report).startswith("✓")
