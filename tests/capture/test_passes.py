"""Several backward passes in one turn of the loop: one line that runs for several models, several calls on one line."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import nn

import gradscope
from gradscope.capture.graph import BEFORE, EARLIER
from gradscope.records import Graph
from gradscope.render.fold import fold
from gradscope.render.markdown import render_markdown
from gradscope.report import Report
from gradscope.scope import Scope
from gradscope.session import Session


def sgd(*models: nn.Module) -> torch.optim.SGD:
    return torch.optim.SGD([p for model in models for p in model.parameters()], 0.01)


def graph_of(report: Report) -> Graph:
    assert report.run.graph is not None
    return report.run.graph


def losses(report: Report) -> list[str]:
    return [node.label for node in graph_of(report).nodes if node.kind == "loss"]


def inputs(report: Report) -> set[str]:
    return {node.label for node in graph_of(report).nodes if node.kind == "input"}


class Cycle:
    """Two generators and two critics, which are trained in a loop by one line."""

    def __init__(self, *, shared: bool) -> None:
        torch.manual_seed(0)
        self.models = {name: nn.Linear(4, 4 if name[0] == "g" else 1) for name in ("g_ab", "g_ba", "d_a", "d_b")}
        g_ab, g_ba, d_a, d_b = self.models.values()
        self.generators = sgd(g_ab, g_ba)
        both = sgd(d_a, d_b)
        self.critics = (both, both) if shared else (sgd(d_a), sgd(d_b))

    def generate(self) -> None:
        g_ab, g_ba, d_a, d_b = self.models.values()
        self.fakes = g_ba(torch.randn(3, 4)), g_ab(torch.randn(3, 4))
        self.generators.zero_grad()
        (d_a(self.fakes[0]).mean() + d_b(self.fakes[1]).mean()).backward()
        self.generators.step()

    def judge(self) -> None:
        critics = self.models["d_a"], self.models["d_b"]
        for critic, fake, optimizer in zip(critics, self.fakes, self.critics, strict=True):
            optimizer.zero_grad()
            loss = critic(torch.randn(3, 4)).square().mean() + critic(fake.detach()).mean()
            loss.backward()
            optimizer.step()

    def critics_last(self) -> None:
        self.generate()
        self.judge()

    def critics_first(self) -> None:
        g_ab, g_ba, d_a, d_b = self.models.values()
        self.fakes = g_ba(torch.randn(3, 4)), g_ab(torch.randn(3, 4))
        self.judge()
        self.generators.zero_grad()
        (d_a(self.fakes[0]).mean() + d_b(self.fakes[1]).mean()).backward()
        self.generators.step()


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("order", ["critics_last", "critics_first"])
def test_a_loop_over_critics_is_drawn_with_all_of_them(order: str, shared: bool) -> None:
    cycle = Cycle(shared=shared)
    report = gradscope.explain(getattr(cycle, order), repeat=3, models=cycle.models)

    assert sorted(losses(report)) == ["loss", "loss for d_a", "loss for d_b"]
    assert inputs(report) == {"randn"}
    calls = [node.model for node in graph_of(report).nodes if node.kind == "module" and node.live]
    assert sorted(calls) == ["d_a"] * 3 + ["d_b"] * 3 + ["g_ab", "g_ba"]
    boxes = [(box.names, box.nodes) for box in fold(graph_of(report)).boxes if box.kind == "loss"]
    assert sorted(boxes) == [(("loss",), 1), (("loss for d_a",), 1), (("loss for d_b",), 1)]


def test_a_loop_over_critics_with_an_optimizer_each_is_one_step() -> None:
    cycle = Cycle(shared=False)
    with gradscope.watch(cycle.models) as scope:
        for _ in range(5):
            cycle.critics_first()
    check_steps(scope.report())

    with Session() as session:
        cycle = Cycle(shared=False)
        for _ in range(5):
            cycle.critics_first()
        check_steps(session.report())


def check_steps(report: Report) -> None:
    assert (report.run.steps, report.run.backwards) == (5, 15)
    assert [event.step for event in report.run.backward_events] == [step for step in range(5) for _ in range(3)]


def test_steps_that_are_drawn_together_are_told() -> None:
    cycle = Cycle(shared=True)  # its optimizer steps twice, which are two steps
    report = gradscope.explain(cycle.critics_first, repeat=3, models=cycle.models)
    graph = graph_of(report)

    assert graph.first == graph.step - 1
    assert f"Norms are those of steps {graph.first} and {graph.step}." in report.graph().source


def test_micro_batches_are_one_kind_of_pass() -> None:
    encoder, head = nn.Linear(4, 4), nn.Linear(4, 1)
    optimizer = sgd(encoder, head)

    def step() -> None:
        optimizer.zero_grad()
        for _ in range(4):
            head(encoder(torch.randn(3, 4))).square().mean().backward()
        optimizer.step()

    report = gradscope.explain(step, repeat=3, encoder=encoder, head=head)
    drawn = report.graph().source

    assert [box.nodes for box in fold(graph_of(report)).boxes if box.kind == "loss"] == [4]
    assert drawn.count("4 passes") == 1
    assert drawn.count("Linear, 4 calls") + drawn.count(">4 calls<") == 2


class Gan:
    """A generator and a critic."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.gen, self.critic = nn.Linear(2, 4), nn.Linear(4, 1)
        self.models = {"gen": self.gen, "critic": self.critic}
        self.optimizers = sgd(self.gen), sgd(self.critic)

    def losses(self) -> tuple[torch.Tensor, torch.Tensor]:
        fake = self.gen(torch.randn(3, 2))
        real = self.critic(torch.randn(3, 4))
        return real.mean() + self.critic(fake.detach()).square().mean(), self.critic(fake).mean()

    def update(self, loss: torch.Tensor, optimizer: torch.optim.Optimizer) -> None:
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def two_calls(gan: Gan) -> Callable[[], None]:
    def step() -> None:
        d_loss, g_loss = gan.losses()
        _ = d_loss.backward(), g_loss.backward()
        for optimizer in gan.optimizers:
            optimizer.step()
            optimizer.zero_grad()

    return step


def test_two_calls_on_one_line_are_two_losses() -> None:
    gan = Gan()
    report = gradscope.explain(two_calls(gan), repeat=3, models=gan.models)

    assert losses(report) == ["d_loss", "g_loss"]
    assert [(row.count, row.location.text) for row in report.flow if row.location] == [
        (3, "d_loss.backward()"),
        (3, "g_loss.backward()"),
    ]
    assert [row.models["gen"] is None for row in report.flow] == [True, False]


def test_one_call_in_a_comprehension_says_which_pass_is_for_whom() -> None:
    gan = Gan()

    def step() -> None:
        [loss.backward() for loss in gan.losses()]
        for optimizer in gan.optimizers:
            optimizer.step()
            optimizer.zero_grad()

    report = gradscope.explain(step, repeat=3, models=gan.models)

    assert losses(report) == ["loss for critic", "loss for gen, critic"]
    (row,) = report.flow
    assert (row.count, dict(row.times)) == (6, {"gen": 3})
    assert " x3" in render_markdown(report)


def test_a_function_that_both_losses_go_through_is_drawn_with_both() -> None:
    gan = Gan()

    def step() -> None:
        gan.update(gan.losses()[0], gan.optimizers[1])
        gan.update(gan.losses()[1], gan.optimizers[0])

    assert losses(gradscope.explain(step, repeat=3, models=gan.models)) == ["loss for critic", "loss for gen, critic"]


def test_what_the_passes_of_a_step_share_comes_from_no_earlier_step() -> None:
    """The critic learns three times from what the generator made once."""
    gan = Gan()

    def step() -> None:
        fake = gan.gen(torch.randn(3, 2)).detach()
        for _ in range(3):
            gan.optimizers[1].zero_grad()
            gan.critic(fake).square().mean().backward()
            gan.optimizers[1].step()
        gan.optimizers[0].zero_grad()
        gan.critic(gan.gen(torch.randn(3, 2))).mean().backward()
        gan.optimizers[0].step()

    report = gradscope.explain(step, repeat=3, models=gan.models)

    assert inputs(report) == {"randn"}
    assert len(losses(report)) == 4
    assert "3 passes" in report.graph().source


@pytest.mark.parametrize(("marked", "said"), [(True, EARLIER), (False, BEFORE)])
def test_state_that_is_fed_back_is_of_an_earlier_pass_or_of_before_the_step(marked: bool, said: str) -> None:
    """Each pass has its own step of the optimizer: three are a step only where they are marked so."""
    torch.manual_seed(0)
    cell = nn.Linear(4, 4)
    optimizer, scope = sgd(cell), Scope({"cell": cell})
    state = torch.zeros(3, 4)
    try:
        scope._capture.start_tracing()
        for _ in scope.steps(range(3)) if marked else range(3):
            for _ in range(3):
                state = cell(state.detach() + torch.randn(3, 4))
                optimizer.zero_grad()
                state.square().mean().backward()
                optimizer.step()
        report = scope.report()
    finally:
        scope.close()

    assert report.run.steps == (3 if marked else 9)
    assert inputs(report) == {"randn", said}


def test_of_what_two_passes_use_each_line_has_its_own() -> None:
    torch.manual_seed(0)
    trunk, left, right = nn.Linear(4, 8), nn.Linear(8, 1), nn.Linear(8, 1)
    models = {"trunk": trunk, "left": left, "right": right}
    x = torch.randn(5, 4)
    optimizer = torch.optim.SGD([p for model in models.values() for p in model.parameters()], 0.0)

    def parts(hidden: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"left": 100 * left(hidden).mean(), "right": 1e-3 * right(hidden).mean()}

    def step() -> None:
        optimizer.zero_grad()
        for loss in parts(trunk(x)).values():
            loss.backward(retain_graph=True)
        optimizer.step()

    graph = graph_of(gradscope.explain(step, models=models))
    hidden = trunk(x)
    grads = {name: torch.autograd.grad(loss, hidden)[0] for name, loss in parts(hidden).items()}
    ends = [(graph.nodes[e.source], graph.nodes[e.target], e) for e in graph.edges if e.live]
    found = {b.model: e.norm for a, b, e in ends if (a.model, a.kind) == ("trunk", "module") and b.model in grads}

    assert found == pytest.approx({name: float(grad.norm()) for name, grad in grads.items()}, rel=1e-5)


def test_a_model_that_is_a_part_of_another_is_not_said_to_be_missing() -> None:
    critics = nn.ModuleList(nn.Linear(4, 1) for _ in range(3))
    optimizer = sgd(critics)

    def step() -> None:
        for critic in critics:
            optimizer.zero_grad()
            critic(torch.randn(3, 4)).square().mean().backward()
            optimizer.step()

    report = gradscope.explain(step, models={"critics": critics, "critic": critics[2]})
    drawn = report.graph().source

    assert "critic is drawn as a part of critics." in drawn
    assert "not in the traced step" not in drawn
    assert "3 passes" in drawn


def test_a_pass_from_two_losses_at_once_is_one_pass() -> None:
    left, right = nn.Linear(4, 1), nn.Linear(4, 1)
    optimizer = sgd(left, right)

    def step() -> None:
        optimizer.zero_grad()
        torch.autograd.backward([left(torch.randn(3, 4)).mean(), right(torch.randn(3, 4)).square().mean()])
        optimizer.step()

    report = gradscope.explain(step, left=left, right=right)
    graph = graph_of(report)
    (loss,) = [node.id for node in graph.nodes if node.kind == "loss"]

    assert [graph.nodes[edge.source].label for edge in graph.edges if edge.target == loss] == ["mean", "mean"]
    assert "2 passes" not in report.graph().source


def test_micro_batches_after_another_model_has_stepped_are_one_turn() -> None:
    gan = Gan()

    def step() -> None:
        gan.optimizers[0].zero_grad()
        gan.critic(gan.gen(torch.randn(3, 2))).mean().backward()
        gan.optimizers[0].step()
        gan.optimizers[1].zero_grad()
        for _ in range(4):
            gan.critic(torch.randn(3, 4)).square().mean().backward()
        gan.optimizers[1].step()

    report = gradscope.explain(step, repeat=3, models=gan.models)

    assert len(losses(report)) == 5
    assert graph_of(report).first is None
    assert report.graph().source.count("4 passes") == 1


def test_a_copy_that_is_made_in_each_step_is_no_other_kind_of_pass() -> None:
    net = nn.Linear(4, 1)
    optimizer = sgd(net)

    def step() -> None:
        copy.deepcopy(net)(torch.randn(3, 4)).mean().backward()
        optimizer.zero_grad()
        net(torch.randn(3, 4)).square().mean().backward()
        optimizer.step()

    report = gradscope.explain(step, repeat=3, net=net)

    assert len(losses(report)) == 2
    assert graph_of(report).first is None
