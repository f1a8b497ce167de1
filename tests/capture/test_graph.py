"""The graph of a traced step: what is in it, where it is cut, and that all cases can be drawn."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import gradscope
from gradscope.capture import facts
from gradscope.capture import graph as builder
from gradscope.records import Graph, Node
from gradscope.render.fold import fold
from gradscope.report import Report
from gradscope.scope import Scope

CASES = Path(__file__).parents[1] / "cases"


class Encoder(nn.Module):
    def __init__(self, *, detach: bool) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 8), nn.Linear(8, 8)
        self.detach = detach

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = self.second(torch.relu(self.first(x)))
        return hidden.detach() if self.detach else hidden


def train(detach: bool, steps: int = 3) -> Report:
    torch.manual_seed(0)
    encoder, decoder, idle = Encoder(detach=detach), nn.Linear(8, 1), nn.Linear(2, 2)
    optimizer = torch.optim.SGD([*encoder.parameters(), *decoder.parameters(), *idle.parameters()], 0.01)

    def step() -> None:
        optimizer.zero_grad()
        loss = decoder(encoder(torch.randn(5, 4))).square().mean()
        loss.backward()
        optimizer.step()

    return gradscope.explain(step, repeat=steps, models={"encoder": encoder, "decoder": decoder, "idle": idle})


def graph_of(report: Report) -> Graph:
    assert report.run.graph is not None
    return report.run.graph


def named(graph: Graph, kind: str, model: str = "") -> list[Node]:
    return [node for node in graph.nodes if node.kind == kind and node.model == model]


@pytest.mark.parametrize("inside", [True, False])
def test_a_cut_tells_whether_what_met_it_had_a_gradient(inside):
    """Where the whole model runs without gradient, nothing of it was ever live."""
    encoder, decoder = nn.Linear(4, 8), nn.Linear(8, 1)
    optimizer = torch.optim.SGD([*encoder.parameters(), *decoder.parameters()], 0.01)
    seen = []

    def step() -> None:
        with torch.set_grad_enabled(not inside):
            latent = encoder(torch.randn(5, 4))
            latent = latent.square()
        seen.append(latent.requires_grad)
        with torch.no_grad():
            latent = latent.clone()
        optimizer.zero_grad()
        decoder(latent).mean().backward()
        optimizer.step()

    graph = graph_of(gradscope.explain(step, repeat=2, models={"encoder": encoder, "decoder": decoder}))
    cuts = [edge for edge in graph.edges if edge.cut]
    assert [edge.requires for edge in cuts] == [seen[0]] * len(cuts)
    assert cuts


def test_a_module_call_is_one_node_and_glue_is_drawn_by_operation():
    graph = graph_of(train(detach=False))
    assert [(n.module, n.label) for n in named(graph, "module", "encoder")] == [
        ("first", "Linear"),
        ("second", "Linear"),
    ]
    assert [n.label for n in named(graph, "op", "encoder")] == ["relu"]
    assert [n.label for n in named(graph, "op")] == ["square", "mean"]
    assert [(n.label, n.location.text) for n in named(graph, "loss") if n.location] == [("loss", "loss.backward()")]
    assert len(named(graph, "input")) == 1


def test_the_cut_stands_on_the_edge_where_the_gradient_was_lost():
    graph = graph_of(train(detach=True))
    cuts = [edge for edge in graph.edges if edge.cut]
    assert [(edge.cut, edge.live) for edge in cuts] == [("detach", False)]
    assert cuts[0].location is not None
    assert "hidden.detach()" in cuts[0].location.text
    assert graph.nodes[cuts[0].source].module == "second"
    assert not any(node.live for node in graph.nodes if node.model == "encoder")
    assert all(node.live for node in graph.nodes if node.model == "decoder")


def test_where_the_dead_value_went_on_is_there():
    graph = graph_of(train(detach=True))
    (cut,) = [edge for edge in graph.edges if edge.cut]
    behind = [edge.target for edge in graph.edges if edge.source == cut.target]
    assert [graph.nodes[target].model for target in behind] == ["decoder"]


class Statistics(nn.Module):
    """Buffers: running averages, vectors of a power iteration, a table, and one that is written in place."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(4)
        self.new = nn.utils.parametrizations.spectral_norm(nn.Linear(4, 4))
        self.old = nn.utils.spectral_norm(nn.Linear(4, 4))
        self.register_buffer("table", torch.ones(5, 4))
        self.register_buffer("mean", torch.zeros(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.mean.mul_(0.9).add_(0.1 * x.mean(0))
        return self.old(self.new(self.norm(self.table * 0.5 * x - self.mean))) + self.table


@pytest.mark.parametrize("training", [True, False])
def test_buffers_are_no_data(training):
    torch.manual_seed(0)
    net = Statistics().train(training)
    optimizer = torch.optim.SGD(net.parameters(), 0.01)
    target = torch.ones(5, 4)

    def step() -> None:
        optimizer.zero_grad()
        nn.functional.mse_loss(net(torch.randn(5, 4)), target).backward()
        optimizer.step()

    graph = graph_of(gradscope.explain(step, models={"net": net}))
    assert [node.label for node in named(graph, "input")] == ["randn", "data"]
    entered = {graph.nodes[edge.target].label for edge in graph.edges if graph.nodes[edge.source].kind == "input"}
    assert entered == {"BatchNorm1d", "mse_loss"}


class Adapter(nn.Module):
    """LoRA: what it adds is zero at first, and so are the gradients of its first half."""

    def __init__(self) -> None:
        super().__init__()
        self.base = nn.Linear(4, 4).requires_grad_(False)
        self.a, self.b = nn.Linear(4, 2, bias=False), nn.Linear(2, 4, bias=False)
        nn.init.zeros_(self.b.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.base(x) + self.b(self.a(x))


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_what_is_zero_at_first_only_is_drawn_as_it_flows(reduction):
    torch.manual_seed(0)
    net, data = nn.Sequential(Adapter(), nn.Tanh(), Adapter()), torch.randn(5, 4)
    optimizer = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], 0.01)

    def step() -> None:
        optimizer.zero_grad()
        nn.functional.mse_loss(net(data), data, reduction=reduction).backward()
        optimizer.step()

    graph = graph_of(gradscope.explain(step, models={"net": net}))
    assert graph.step == 1
    assert not [edge for edge in graph.edges if edge.cut]
    assert all(node.norm for node in graph.nodes if node.kind == "parameter" and node.live)


def test_what_stays_zero_is_drawn_with_its_line():
    net, head = nn.Linear(4, 4), nn.Linear(4, 1)
    optimizer = torch.optim.SGD([*net.parameters(), *head.parameters()], 0.01)

    def step() -> None:
        optimizer.zero_grad()
        head(net(torch.ones(2, 4)) * 0.0).mean().backward()
        optimizer.step()

    graph = graph_of(gradscope.explain(step, models={"net": net, "head": head}))
    assert [edge.cut for edge in graph.edges if edge.cut] == ["zero_multiplier"]


def test_a_model_that_is_never_used_stands_alone():
    graph = graph_of(train(detach=False))
    idle = {node.id for node in graph.nodes if node.model == "idle"}
    assert len(idle) == 2
    assert not any(edge.source in idle or edge.target in idle for edge in graph.edges)
    assert not any(graph.nodes[number].live for number in idle)


def test_norms_are_those_of_autograd():
    report = train(detach=False)
    graph = graph_of(report)
    events = [event for event in report.run.backward_events if event.step == graph.step]
    for node in graph.nodes:
        if node.uid is not None and node.live:
            assert node.norm == pytest.approx(events[-1].norms[node.uid])
    loss = named(graph, "loss")[0]
    (into,) = [edge for edge in graph.edges if edge.target == loss.id]
    assert into.norm == pytest.approx(1.0)


def test_edges_point_forward_and_the_same_run_gives_the_same_graph():
    first, second = graph_of(train(detach=True)), graph_of(train(detach=True))
    assert first == second
    assert [node.id for node in first.nodes] == list(range(len(first.nodes)))
    assert all(edge.source < edge.target for edge in first.edges)


def test_all_backward_lines_of_a_turn_are_drawn():
    torch.manual_seed(0)
    generator, critic = nn.Linear(4, 4), nn.Linear(4, 1)
    g_optimizer, c_optimizer = (torch.optim.SGD(m.parameters(), 0.01) for m in (generator, critic))

    def step() -> None:
        c_optimizer.zero_grad()
        c_loss = critic(generator(torch.randn(3, 4)).detach()).mean()
        c_loss.backward()
        c_optimizer.step()
        g_optimizer.zero_grad()
        g_loss = -critic(generator(torch.randn(3, 4))).mean()
        g_loss.backward()
        g_optimizer.step()

    graph = graph_of(gradscope.explain(step, models={"generator": generator, "critic": critic}))
    assert [node.label for node in named(graph, "loss")] == ["c_loss", "g_loss"]
    assert not any(edge.cut for edge in graph.edges)


def unrolled(turns: int) -> Report:
    cell, head = nn.Linear(4, 4), nn.Linear(4, 1)
    optimizer = torch.optim.SGD([*cell.parameters(), *head.parameters()], 0.01)

    def step() -> None:
        state = torch.zeros(2, 4)
        for _ in range(turns):
            state = torch.tanh(cell(state) * 0.5 + 0.1)
        optimizer.zero_grad()
        head(state).mean().backward()
        optimizer.step()

    return gradscope.explain(step, repeat=2, models={"cell": cell, "head": head})


def test_a_long_step_is_kept_small_and_still_leads_to_the_loss(monkeypatch):
    monkeypatch.setattr(builder, "CROWDED", 60)
    monkeypatch.setattr(builder, "MAX_NODES", 100)
    graph = graph_of(unrolled(100))
    assert len(graph.nodes) <= 100
    assert graph.truncated > 200
    reached = {named(graph, "loss")[0].id}
    for edge in sorted(graph.edges, key=lambda e: -e.target):
        if edge.target in reached:
            reached.add(edge.source)
    assert {node.model for node in graph.nodes if node.id in reached} >= {"cell", "head"}


class Gate(nn.Module):
    """A module without modules below it that does several operations."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(x * self.scale) * x + x


class Turning(nn.Module):
    """A layer that is called again and again with nothing in between, then others of one shape, twice each."""

    def __init__(self) -> None:
        super().__init__()
        self.again, self.gate = nn.Linear(4, 4), Gate()
        self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for _ in range(7):
            x = self.again(x)
        for _ in range(3):
            x = self.gate(x)
        for layer in self.layers:
            x = layer(layer(x))
        return x


def test_a_box_says_how_often_its_module_was_called(monkeypatch):
    net, head = Turning(), nn.Linear(4, 1)
    optimizer = torch.optim.SGD([*net.parameters(), *head.parameters()], 0.01)

    def step() -> None:
        optimizer.zero_grad()
        head(net(torch.randn(2, 4))).mean().backward()
        optimizer.step()

    drawn = gradscope.explain(step, models={"net": net, "head": head}).graph().source
    assert "Linear, 7 calls<" in drawn
    assert "Gate, 3 calls<" in drawn
    assert "Linear, 2 calls each<" in drawn
    assert drawn.count(" calls") == 3

    monkeypatch.setattr(builder, "CROWDED", 5)  # then calls share a node and nobody knows how many there were
    assert " calls" not in gradscope.explain(step, models={"net": net, "head": head}).graph().source


def test_a_hundred_thousand_operations_are_drawn():
    scope_ops, turns = 100_000, 12_500
    cell = nn.Linear(4, 4)
    optimizer = torch.optim.SGD(cell.parameters(), 0.01)
    scope = Scope({"cell": cell})
    try:
        scope._capture.start_tracing()
        for _ in range(2):
            state = torch.zeros(2, 4)
            for _ in range(turns):
                state = (cell(state) * 0.5 + 0.1).tanh()
            optimizer.zero_grad()
            state.mean().backward()
            optimizer.step()
        scope._capture.stop_tracing()
        assert scope._capture.tape is not None
        assert len(scope._capture.tape.ops) >= scope_ops
        run = scope.report().run
        drawn = facts.drawn(scope._capture, run, builder.CutFinder(scope._capture.tape))
        assert drawn is not None
        assert drawn.nodes
    finally:
        scope.close()


def test_no_backward_no_graph():
    scope = Scope({"layer": nn.Linear(1, 1)})
    try:
        scope._capture.start_tracing()
        assert scope.report().run.graph is None
    finally:
        scope.close()


class Same(torch.autograd.Function):
    """Hands on its inputs as they are, as fully_shard does around each block."""

    @staticmethod
    def forward(_ctx: object, _flag: object, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tensors

    @staticmethod
    def backward(_ctx: object, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        return (None, *grads)


def test_what_a_custom_function_hands_on_stays_alive() -> None:
    torch.manual_seed(0)
    first, second, head = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 1)
    models = {"first": first, "second": second, "head": head}
    optimizer = torch.optim.SGD([p for model in models.values() for p in model.parameters()], 0.01)

    def step() -> None:
        (x,) = Same.apply(True, first(torch.randn(5, 4)))
        (x,) = Same.apply(True, second(x))
        optimizer.zero_grad()
        head(x).square().mean().backward()
        optimizer.step()

    report = gradscope.explain(step, models=models)

    assert report.ok
    assert report.run.graph is not None
    assert [node.label for node in report.run.graph.nodes if node.model and not node.live] == []


def test_each_line_has_what_comes_back_along_it() -> None:
    """Of two heads on one encoder one sends 100 million times as much as the other."""
    torch.manual_seed(0)
    encoder, strong, weak = nn.Linear(4, 8), nn.Linear(8, 1), nn.Linear(8, 1)
    models = {"encoder": encoder, "strong": strong, "weak": weak}
    optimizer = torch.optim.SGD([p for model in models.values() for p in model.parameters()], 0.0)
    x = torch.randn(5, 4)

    def step() -> None:
        hidden = encoder(x)
        optimizer.zero_grad()
        (100 * strong(hidden).mean() + 1e-6 * weak(hidden).mean()).backward()
        optimizer.step()

    graph = gradscope.explain(step, models=models).run.graph
    assert graph is not None
    hidden = encoder(x)
    parts = {"strong": 100 * strong(hidden).mean(), "weak": 1e-6 * weak(hidden).mean()}
    grads = {name: torch.autograd.grad(loss, hidden)[0] for name, loss in parts.items()}
    expected = {name: float(grad.norm()) for name, grad in grads.items()}
    ends = [(graph.nodes[e.source], graph.nodes[e.target], e) for e in graph.edges if e.live]
    found = {b.model: e for a, b, e in ends if (a.model, a.kind) == ("encoder", "module") and b.model in expected}

    assert {name: edge.norm for name, edge in found.items()} == pytest.approx(expected, rel=1e-5)
    assert found["weak"].total == pytest.approx(float((grads["strong"] + grads["weak"]).norm()), rel=1e-5)


def test_a_line_between_two_blocks_has_all_that_comes_back_also_past_a_shortcut() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + self.inner(x).tanh()

    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 4), Block(), nn.Linear(4, 1))
    optimizer = torch.optim.SGD(net.parameters(), 0.0)
    x = torch.randn(5, 4)

    def step() -> None:
        optimizer.zero_grad()
        net(x).square().mean().backward()
        optimizer.step()

    report = gradscope.explain(step, net=net)
    assert report.run.graph is not None
    picture = fold(report.run.graph, 1)
    boxes = {box.path: index for index, box in enumerate(picture.boxes) if box.model == "net"}
    (link,) = [k for k in picture.links if (k.source, k.target) == (boxes[("0",)], boxes[("1",)])]
    entering = net[0](x)
    expected = torch.autograd.grad(net[2](net[1](entering)).square().mean(), entering)[0].norm()

    assert link.norm == pytest.approx(float(expected), rel=1e-5)


def test_weights_that_are_used_again_and_again_take_no_number_from_a_line() -> None:
    """The gradients of a shared weight are added up in its leaf, which no operation of the step has made."""
    torch.manual_seed(0)
    cell, head = nn.Linear(4, 4), nn.Linear(4, 1)
    optimizer = torch.optim.SGD([*cell.parameters(), *head.parameters()], 0.01)

    def step() -> None:
        hidden = torch.randn(5, 4)
        for _ in range(3):
            hidden = cell(hidden).tanh()
        optimizer.zero_grad()
        head(hidden).square().mean().backward()
        optimizer.step()

    graph = gradscope.explain(step, cell=cell, head=head).run.graph
    assert graph is not None
    assert [e for e in graph.edges if e.live and e.norm is None] == []
