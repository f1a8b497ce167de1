"""Ordinary loops with an ordinary mistake, under `watch()`: what is said of them, marked or not."""

from __future__ import annotations

import html

import pytest
import torch
from torch import nn

import gradscope
from gradscope.errors import GradientFlowError, GradscopeError, NameClashError


def turns(scope, *, marked, count=12):
    return scope.steps(range(count)) if marked else range(count)


def two(width=3):
    torch.manual_seed(0)
    return nn.Linear(4, width), nn.Linear(width, 1)


@pytest.mark.parametrize("marked", [True, False])
@pytest.mark.parametrize("to_none", [True, False])
def test_cleared_between_backward_and_step(marked, to_none):
    front, back = two()
    optimizer = torch.optim.Adam([*front.parameters(), *back.parameters()])
    scope = gradscope.watch(front=front, back=back)
    for _ in turns(scope, marked=marked):
        back(front(torch.randn(8, 4))).pow(2).mean().backward()
        optimizer.zero_grad(set_to_none=to_none)
        optimizer.step()
    assert {(f.code, f.model) for f in scope.report().findings} == {("GS507", "front"), ("GS507", "back")}
    with pytest.raises(GradientFlowError):
        scope.assert_flow()


@pytest.mark.parametrize("marked", [True, False])
def test_step_before_backward(marked):
    front, back = two()
    optimizer = torch.optim.SGD([*front.parameters(), *back.parameters()], lr=0.1)
    scope = gradscope.watch(front=front, back=back)
    for _ in turns(scope, marked=marked):
        optimizer.zero_grad()
        loss = back(front(torch.randn(8, 4))).pow(2).mean()
        optimizer.step()
        loss.backward()
    assert {(f.code, f.cause) for f in scope.report().findings} == {("GS507", "step_before_backward")}


def test_one_of_two_models_is_cleared_and_its_line_is_traced():
    front, back = two()
    optimizer = torch.optim.Adam([*front.parameters(), *back.parameters()])
    scope = gradscope.watch(front=front, back=back)
    for _ in scope.steps(range(12)):
        back(front(torch.randn(8, 4))).pow(2).mean().backward()
        front.zero_grad()
        optimizer.step()
        optimizer.zero_grad()
    (finding,) = scope.report().findings
    assert (finding.code, finding.model, finding.location.text) == ("GS507", "front", "front.zero_grad()")


def scaled_away(front, back, optimizer, norm):
    optimizer.zero_grad()
    back(front(torch.randn(8, 4))).pow(2).mean().backward()
    if norm is not None:
        nn.utils.clip_grad_norm_(front.parameters(), norm)
    else:
        for parameter in front.parameters():
            parameter.grad.zero_()
    optimizer.step()


@pytest.mark.parametrize(("norm", "code"), [(1e-10, "GS505"), (None, "GS507")])
@pytest.mark.parametrize("marked", [True, False])
def test_gradients_that_are_clipped_to_nothing_or_zeroed(norm, code, marked):
    front, back = two()
    optimizer = torch.optim.Adam([*front.parameters(), *back.parameters()])
    scope = gradscope.watch(front=front, back=back)
    for _ in turns(scope, marked=marked):
        scaled_away(front, back, optimizer, norm)
    (finding,) = scope.report().findings

    assert (finding.code, finding.model) == (code, "front")
    if marked:
        assert finding.location.text.startswith(("nn.utils.clip_grad_norm_(", "parameter.grad.zero_("))
    else:
        assert finding.location is None
        assert finding.detail.endswith("use `gradscope run` to learn the line")


def test_clipping_that_leaves_little_is_told_once_its_line_was_traced():
    """A loss scale might have been divided by as much, were it not seen that nobody does."""
    front, back = two()
    optimizer = torch.optim.Adam([*front.parameters(), *back.parameters()])
    scope = gradscope.watch(front=front, back=back)
    for _ in scope.steps(range(12)):
        scaled_away(front, back, optimizer, 1e-8)
    (finding,) = scope.report().findings

    assert (finding.code, finding.evidence, finding.cause) == ("GS505", "observed", "clip_to_zero")


@pytest.mark.parametrize("marked", [True, False])
@pytest.mark.parametrize("scale", [1.0, 2.0**24])
def test_what_a_loss_scale_is_divided_by_is_not_clipped_away(marked, scale):
    front, back = two()
    optimizer = torch.optim.SGD([*front.parameters(), *back.parameters()], lr=0.1)
    scope = gradscope.watch(front=front, back=back)
    for _ in turns(scope, marked=marked):
        optimizer.zero_grad()
        loss = back(front(torch.randn(8, 4))).pow(2).mean() * 1e-6  # small gradients, as near to a minimum
        (loss * scale).backward()
        for parameter in [*front.parameters(), *back.parameters()]:
            parameter.grad.div_(scale)
        optimizer.step()

    assert scope.report().findings == ()


@pytest.mark.parametrize("marked", [True, False])
def test_passes_that_reach_nothing_watched_are_counted(marked):
    front, back = two()
    optimizer = torch.optim.SGD([*front.parameters(), *back.parameters()], lr=0.1)
    scope = gradscope.watch(front=front)
    for _ in turns(scope, marked=marked):
        optimizer.zero_grad()
        back(front(torch.randn(8, 4)).detach()).pow(2).mean().backward()
        optimizer.step()
    assert scope.report().run.backwards == 12


def test_an_optimizer_made_after_watch_counts_from_the_first_marked_turn():
    front, back = two()
    scope = gradscope.watch(front=front)
    optimizer = torch.optim.SGD([*front.parameters(), *back.parameters()], lr=0.1)
    for _ in scope.steps(range(6)):
        back(front(torch.randn(8, 4)).detach()).pow(2).mean().backward()
        optimizer.step()
    assert scope.report().run.backwards == 6


class Tower(nn.Module):
    def __init__(self, embedding):
        super().__init__()
        self.embedding, self.out = embedding, nn.Linear(4, 1)

    def forward(self, x):
        return self.out(self.embedding(x).detach())


def test_each_owner_of_what_is_shared_is_told():
    embedding = nn.Linear(4, 4)
    left, right = Tower(embedding), Tower(embedding)
    held = dict.fromkeys([*left.parameters(), *right.parameters()])
    optimizer = torch.optim.SGD(list(held), lr=0.1)
    scope = gradscope.watch(left=left, right=right)
    for _ in scope.steps(range(6)):
        x = torch.randn(8, 4)
        optimizer.zero_grad()
        (left(x) + right(x)).pow(2).mean().backward()
        optimizer.step()
    told = {(f.model, f.parameters) for f in scope.report().findings}
    assert told == {(m, ("embedding.weight", "embedding.bias")) for m in ("left", "right")}
    with pytest.raises(GradientFlowError, match="of left"):
        scope.assert_flow(allow=["right.embedding"])


def test_what_lies_in_another_watched_model_is_told_once():
    front, back = two()
    whole = nn.Sequential(front, back)
    optimizer = torch.optim.SGD(whole.parameters(), lr=0.1)
    scope = gradscope.watch(front=front, whole=whole)
    for _ in scope.steps(range(6)):
        optimizer.zero_grad()
        back(front(torch.randn(8, 4)).detach()).pow(2).mean().backward()
        optimizer.step()
    (finding,) = scope.report().findings
    assert (finding.model, finding.cause) == ("front", "detach")


def test_a_backward_that_leaves_a_model_out_is_named():
    front, back = two()
    optimizer = torch.optim.SGD([*front.parameters(), *back.parameters()], lr=0.1)
    scope = gradscope.watch(front=front, back=back)
    for _ in scope.steps(range(6)):
        optimizer.zero_grad()
        back(front(torch.randn(8, 4))).pow(2).mean().backward(inputs=list(back.parameters()))
        optimizer.step()
    (finding,) = scope.report().findings
    assert finding.model == "front"
    assert "the loss depends on it" in finding.message
    assert "inputs=" in finding.location.text


def test_a_trace_that_comes_after_the_weights_are_nan_blames_no_line():
    front, back = two()
    optimizer = torch.optim.SGD([*front.parameters(), *back.parameters()], lr=0.1)
    scope = gradscope.watch(front=front, back=back)
    for _ in scope.steps(range(6)):
        optimizer.zero_grad()
        hidden = front(torch.randn(8, 4))
        (back(hidden).pow(2).mean() + (hidden - hidden).pow(2).sum().sqrt()).backward()
        optimizer.step()
    findings = scope.report().findings
    assert {f.code for f in findings} == {"GS301"}
    assert {(f.cause, f.location) for f in findings} == {("unknown", None)}
    assert all("tracing came too late" in f.fix for f in findings)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"every": 1.5}, "every=1.5"),
        ({"every": "a"}, "every='a'"),
        ({"histograms": "a"}, "histograms='a'"),
        ({"budget": "a"}, "budget='a'"),
    ],
)
def test_options_of_another_type_are_named(options, said):
    with pytest.raises(GradscopeError, match=said):
        gradscope.watch(net=nn.Linear(2, 2), **options)


@pytest.mark.parametrize("name", [1, ""])
def test_what_is_no_name_is_refused(name):
    with pytest.raises(GradscopeError, match="no name for a model"):
        gradscope.watch({name: nn.Linear(2, 2)})


def test_the_same_model_twice_is_said_as_that():
    net = nn.Linear(2, 2)
    with pytest.raises(NameClashError, match="'net' is given twice"):
        gradscope.watch(net, net)


def test_a_front_end_that_asks_for_html_alone_gets_it():
    net = nn.Linear(2, 2)
    scope = gradscope.watch(net=net)
    net(torch.randn(1, 2)).sum().backward()
    report = scope.report()
    assert report._repr_html_() == report._repr_mimebundle_()["text/html"]


def test_what_watching_took_is_told_on_the_page(tmp_path):
    model = nn.Linear(4, 2)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with gradscope.watch(model=model) as scope:
        for _ in scope.steps(range(5)):
            optimizer.zero_grad()
            model(torch.randn(8, 4)).square().mean().backward()
            optimizer.step()
        report = scope.report()

    assert 0 < report.run.cost.seconds < 60
    page = report.save(tmp_path / "page.html").read_text(encoding="utf-8")
    assert (
        f"hooks took {report.run.cost.seconds:.2g} s in all, and its records {report.run.cost.bytes / 1e6:.2g} MB"
        in html.unescape(page)
    )


def test_an_origin_of_an_earlier_traced_step_is_not_looked_for_in_a_later_one():
    """A step is traced whenever something new looks wrong, here one expert after another that is not chosen."""
    torch.manual_seed(0)
    experts = {f"expert{i}": nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8)) for i in range(12)}
    router = nn.Linear(8, 12)
    optimizer = torch.optim.Adam([p for m in (*experts.values(), router) for p in m.parameters()])
    with gradscope.watch(router=router, **experts) as scope:
        for _ in scope.steps(range(10)):
            x = torch.randn(16, 8)
            chosen = router(x).argmax(-1)
            parts = [e(x) * (chosen == i).float()[:, None] for i, e in enumerate(experts.values()) if i != 3]
            optimizer.zero_grad()
            sum(parts).square().mean().backward()
            optimizer.step()
        report = scope.report()

    assert not [note for note in report.run.notes if "failed" in note]
    assert report.run.graph is not None
    late = [f for f in report.findings if f.code == "GS201" and "in the last" in f.message]
    flowing = {m.name for m in report.models if m.state == "flowing"}
    assert {f.model for f in report.findings if f.code == "GS201"} & flowing <= {f.model for f in late}


def test_zeros_that_were_stepped_and_cleared_afterwards_were_not_lost():
    encoder, critic = two()
    optimizer = torch.optim.SGD([*encoder.parameters(), *critic.parameters()], 0.01)
    with gradscope.watch(encoder=encoder, critic=critic) as scope:
        for turn in scope.steps(range(40)):
            code = encoder(torch.randn(8, 4))
            loss = code.pow(2).mean()
            if turn % 2:
                loss = loss + 0 * critic(code.detach()).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        found = scope.report().findings
    assert ("GS201", "critic") in {(f.code, f.model) for f in found}
    assert "GS507" not in {f.code for f in found}
