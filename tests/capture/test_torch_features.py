"""What torch offers around a training step: the report is right, and the training is bit for bit the same."""

from __future__ import annotations

import functools
import math
import shutil
import warnings

import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, hessian, jacrev, jvp, vmap
from torch.nn.functional import mse_loss
from torch.nn.utils import parametrizations, parametrize, prune
from torch.utils.checkpoint import checkpoint

import gradscope
from gradscope.session import Session

pytestmark = pytest.mark.filterwarnings("ignore")  # what torch deprecates of its own
X = torch.linspace(-1, 1, 48).reshape(8, 6)
Y = X.sum(1, keepdim=True)


class Pair:
    """Two models that are trained together; a feature may replace one before the optimizer is built."""

    def __init__(self, feature):
        torch.manual_seed(0)
        self.encoder = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 4))
        self.decoder = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
        self.inputs = X
        BUILDS.get(feature, lambda pair: None)(self)
        self.optimizer = torch.optim.SGD(self.parameters(), 0.05)

    def parameters(self):
        return [*self.encoder.parameters(), *self.decoder.parameters()]

    def loss(self):
        return mse_loss(self.decoder(self.encoder(self.inputs)), Y)

    def state(self):
        tensors = [t for m in (self.encoder, self.decoder) for t in m.state_dict().values()]
        tensors += [p.grad for p in self.parameters() if p.grad is not None]
        return [(t.to_dense() if t.is_sparse else t).detach().clone() for t in tensors] + [torch.get_rng_state()]


BUILDS, LOOPS = {}, {}


def build(function):
    BUILDS[function.__name__] = function
    return function


def loop(function):
    LOOPS[function.__name__] = function
    return function


def plain(pair):
    for _ in range(4):
        pair.optimizer.zero_grad()
        pair.loss().backward()
        pair.optimizer.step()


# --- models that are built in another way ------------------------------------------------------------------------


class Symmetric(nn.Module):
    def forward(self, weight):
        return weight.triu() + weight.triu(1).transpose(-1, -2)


@build
def parametrized(pair):
    pair.encoder.append(nn.Linear(4, 4))
    parametrize.register_parametrization(pair.encoder[3], "weight", Symmetric())


@build
def weight_norm_by_hooks(pair):
    nn.utils.weight_norm(pair.encoder[0])


@build
def weight_norm(pair):
    parametrizations.weight_norm(pair.encoder[0])


@build
def spectral_norm_by_hooks(pair):
    nn.utils.spectral_norm(pair.encoder[0])


@build
def spectral_norm_and_orthogonal(pair):
    parametrizations.spectral_norm(pair.encoder[0])
    parametrizations.orthogonal(pair.encoder[2])


@build
def pruned(pair):
    prune.l1_unstructured(pair.encoder[0], "weight", 0.5)
    prune.ln_structured(pair.decoder[0], "weight", 0.5, 2, 0)


@build
def quantisation_aware(pair):
    from torch.ao import quantization

    wrapped = nn.Sequential(quantization.QuantStub(), pair.encoder, quantization.DeQuantStub()).train()
    wrapped.qconfig = quantization.get_default_qat_qconfig("fbgemm")
    pair.encoder = quantization.prepare_qat(wrapped)


@build
def channels_last(pair):
    layers = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 4)
    pair.encoder = nn.Sequential(*layers).to(memory_format=torch.channels_last)
    pair.inputs = torch.randn(8, 3, 4, 4).to(memory_format=torch.channels_last)


@build
def meta_device_and_to_empty(pair):
    with torch.device("meta"):
        pair.encoder = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 4))
    pair.encoder.to_empty(device="cpu")
    for module in pair.encoder:
        getattr(module, "reset_parameters", lambda: None)()


@build
def meta_device_and_assign(pair):
    saved = {name: tensor.clone() for name, tensor in pair.encoder.state_dict().items()}
    with torch.device("meta"):
        pair.encoder = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 4))
    pair.encoder.load_state_dict(saved, assign=True)


@build
def sparse_gradients(pair):
    pair.encoder = nn.Sequential(nn.EmbeddingBag(10, 4, sparse=True))
    pair.inputs = torch.arange(16).reshape(8, 2) % 10


# --- loops that train in another way ---------------------------------------------------------------------------------


@loop
def amp_with_scaler_and_clipping(pair):
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    for _ in range(4):
        pair.optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            loss = pair.loss()
        scaler.scale(loss).backward()
        scaler.unscale_(pair.optimizer)
        nn.utils.clip_grad_norm_(pair.parameters(), 0.1)
        scaler.step(pair.optimizer)
        scaler.update()


@loop
def amp_with_accumulation(pair):
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    for turn in range(8):
        with torch.autocast("cpu", torch.bfloat16):
            loss = pair.loss() / 2
        scaler.scale(loss).backward()
        if turn % 2:
            scaler.step(pair.optimizer)
            scaler.update()
            pair.optimizer.zero_grad()


@loop
def checkpoint_without_reentry(pair):
    def loss():
        hidden = checkpoint(pair.encoder, X, use_reentrant=False)
        return mse_loss(checkpoint(pair.decoder, hidden, use_reentrant=False), Y)

    pair.loss = loss
    plain(pair)


@loop
def checkpoint_with_reentry(pair):
    def loss():
        hidden = checkpoint(pair.encoder, X.clone().requires_grad_(), use_reentrant=True)
        return mse_loss(checkpoint(pair.decoder, hidden, use_reentrant=True), Y)

    pair.loss = loss
    plain(pair)


@loop
def selective_checkpoint(pair):
    from torch.utils.checkpoint import create_selective_checkpoint_contexts

    contexts = functools.partial(create_selective_checkpoint_contexts, [torch.ops.aten.addmm.default])
    pair.loss = lambda: mse_loss(pair.decoder(checkpoint(pair.encoder, X, use_reentrant=False, context_fn=contexts)), Y)
    plain(pair)


@loop
def func_functional_call(pair):
    pair.loss = lambda: mse_loss(
        functional_call(
            pair.decoder,
            dict(pair.decoder.named_parameters()),
            (functional_call(pair.encoder, dict(pair.encoder.named_parameters()), (X,)),),
        ),
        Y,
    )
    plain(pair)


def by_hand(pair, gradients_of):
    """Gradients of torch.func, given to the optimizer by hand."""
    models = {"encoder": pair.encoder, "decoder": pair.decoder}
    values = {f"{name}.{fqn}": p for name, model in models.items() for fqn, p in model.named_parameters()}

    def loss(values, x, y):
        hidden = x
        for name, model in models.items():
            mine = {key.removeprefix(f"{name}."): value for key, value in values.items() if key.startswith(name)}
            hidden = functional_call(model, mine, (hidden,))
        return mse_loss(hidden, y)

    for _ in range(4):
        for key, gradient in gradients_of(loss, values).items():
            values[key].grad = gradient.detach()
        pair.optimizer.step()


@loop
def func_grad(pair):
    by_hand(pair, lambda loss, values: grad(loss)(values, X, Y))


@loop
def func_gradients_per_sample(pair):
    def gradients(loss, values):
        samples = vmap(grad(loss), (None, 0, 0))(values, X[:, None], Y[:, None])
        return {key: value.mean(0) for key, value in samples.items()}

    by_hand(pair, gradients)


@loop
def func_vmap_jvp_jacrev_hessian(pair):
    def network(x):
        return pair.decoder(pair.encoder(x))

    def loss():
        value, tangent = jvp(network, (X,), (torch.ones_like(X),))
        slopes = (
            vmap(jacrev(network))(X[:2]).square().mean() + hessian(lambda x: network(x).sum())(X[0]).square().mean()
        )
        return mse_loss(vmap(network)(X), Y) + mse_loss(value, Y) + tangent.square().mean() + slopes

    pair.loss = loss
    plain(pair)


@loop
def pruned_midway(pair):
    plain(pair)
    prune.l1_unstructured(pair.encoder[0], "weight", 0.5)
    plain(pair)


@loop
def lbfgs(pair):
    pair.optimizer = torch.optim.LBFGS(pair.parameters(), 0.5, max_iter=4)

    def closure():
        pair.optimizer.zero_grad()
        loss = pair.loss()
        loss.backward()
        return loss

    for _ in range(4):
        pair.optimizer.step(closure)


@loop
def fused_optimizer(pair):
    pair.optimizer = torch.optim.AdamW(pair.parameters(), 0.01, fused=True)
    plain(pair)


@loop
def traced_by_jit(pair):
    pair.encoder = torch.jit.trace(pair.encoder, X)
    plain(pair)


@loop
def exported_on_the_way(pair):
    plain(pair)
    torch.export.export(pair.encoder, (X,))
    plain(pair)


@loop
def made_a_graph_on_the_way(pair):
    from torch.fx.experimental.proxy_tensor import make_fx

    plain(pair)
    make_fx(lambda x: pair.encoder(x))(X)  # noqa: PLW0108
    torch.fx.symbolic_trace(pair.encoder)
    plain(pair)


@loop
def shapes_without_values_on_the_way(pair):
    """A backward pass on the meta device or with fake tensors trains nothing."""
    from torch._subclasses import FakeTensorMode

    for mode in (torch.device("meta"), FakeTensorMode()):
        with mode:
            nn.Linear(6, 2)(torch.empty(3, 6)).sum().backward()
    plain(pair)


@loop
def compiled_eager(pair, backend="eager"):
    torch._dynamo.reset()
    encoder, decoder = (torch.compile(model, backend=backend) for model in (pair.encoder, pair.decoder))
    pair.loss = lambda: mse_loss(decoder(encoder(X)), Y)
    plain(pair)


@loop
def compiled_aot_eager(pair):
    compiled_eager(pair, "aot_eager")


@loop
def compiled_in_place(pair):
    torch._dynamo.reset()
    pair.encoder.compile(backend="aot_eager")
    plain(pair)


@loop
def compiled_optimizer_step(pair):
    torch._dynamo.reset()
    step = torch.compile(lambda: pair.optimizer.step(), backend="eager")  # noqa: PLW0108
    for _ in range(4):
        pair.optimizer.zero_grad()
        pair.loss().backward()
        step()


def train(feature, watching):
    """Train one pair; returns its final state, and the report of what watched it."""
    if watching is None:
        pair = Pair(feature)
        LOOPS.get(feature, plain)(pair)
        return pair.state(), None
    if watching == "watched":
        pair = Pair(feature)
        with gradscope.watch(encoder=pair.encoder, decoder=pair.decoder) as scope:
            LOOPS.get(feature, plain)(pair)
        return pair.state(), scope.report()
    with Session() as session:
        pair = Pair(feature)
        LOOPS.get(feature, plain)(pair)
    return pair.state(), session.report()


NOT_TRACED_IN_2_6 = ("exported_on_the_way", "compiled_optimizer_step")
"""What torch 2.6 does otherwise, or not at all, under any torch function mode."""


@pytest.mark.parametrize("watching", ["watched", "traced"])
@pytest.mark.parametrize("feature", [*BUILDS, *LOOPS])
def test_report_is_right_and_nothing_is_changed(feature, watching):
    if watching == "traced" and feature in NOT_TRACED_IN_2_6 and torch.__version__.startswith("2.6."):
        pytest.skip("not while a mode is active, in torch 2.6")
    with warnings.catch_warnings(record=True) as expected:
        warnings.simplefilter("always")
        before, _ = train(feature, None)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        after, report = train(feature, watching)

    assert len(before) == len(after)
    assert all(torch.equal(left, right) for left, right in zip(before, after, strict=True))
    assert report.findings == (), str(report)
    assert [(model.name.removeprefix("pair."), model.state.value) for model in report.models] == [
        ("encoder", "flowing"),
        ("decoder", "flowing"),
    ]
    assert all(model.flowing == model.trainable for model in report.models)
    assert report.run.notes == ()
    assert {str(w.message) for w in told} <= {str(w.message) for w in expected}


# --- numbers -------------------------------------------------------------------------------------------------


def total(norms):
    return math.hypot(*(norm for norm in norms.values()))


def test_scaler_accumulates_scaled_and_applies_unscaled():
    pair = Pair("")
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    with gradscope.watch(encoder=pair.encoder, decoder=pair.decoder) as scope:
        pair.loss().backward()
        expected = math.hypot(*(float(p.grad.norm()) for p in pair.parameters()))
        pair.optimizer.zero_grad()
        scaler.scale(pair.loss()).backward()
        scaler.unscale_(pair.optimizer)
        nn.utils.clip_grad_norm_(pair.parameters(), expected / 4)
        scaler.step(pair.optimizer)
    run = scope.report().run

    assert total(run.backward_events[1].norms) == pytest.approx(1024 * expected)
    assert total(run.step_events[0].norms) == pytest.approx(expected / 4, rel=1e-4)


@pytest.mark.parametrize("by_hand", [False, True])
def test_what_a_scaler_scaled_is_told_beside_what_is_applied(by_hand):
    pair = Pair("")
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    with gradscope.watch(encoder=pair.encoder, decoder=pair.decoder) as scope:
        for _ in range(2):
            pair.optimizer.zero_grad()
            scaler.scale(pair.loss()).backward()
            scaled = [total({p: float(p.grad.norm()) for p in m.parameters()}) for m in (pair.encoder, pair.decoder)]
            if by_hand:
                scaler.unscale_(pair.optimizer)
            scaler.step(pair.optimizer)
            scaler.update()
    report = scope.report()

    assert [m.grad_norm for m in report.models] == pytest.approx(scaled)
    assert [m.applied_norm for m in report.models] == pytest.approx([norm / 1024 for norm in scaled])
    assert "grad norm  applied" in str(report)


def test_what_nobody_changed_has_no_column_of_its_own():
    pair = Pair("")
    with gradscope.watch(encoder=pair.encoder, decoder=pair.decoder) as scope:
        for _ in range(2):
            pair.optimizer.zero_grad()
            pair.loss().backward()
            pair.optimizer.step()
    report = scope.report()

    assert [m.applied_norm for m in report.models] == [None, None]
    assert "applied" not in str(report)


@pytest.mark.parametrize(("skipped", "told"), [((2, 5), (2, 7)), ((2,), (2, 2))])
def test_steps_that_a_scaler_skips_are_told(skipped, told):
    pair = Pair("")
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    with gradscope.watch(encoder=pair.encoder, decoder=pair.decoder) as scope:
        for turn in scope.steps(range(8)):
            pair.optimizer.zero_grad()
            scaler.scale(pair.loss() * (math.inf if turn in skipped else 1)).backward()
            scaler.step(pair.optimizer)
            scaler.update()
    report = scope.report()

    assert [event.step for event in report.run.step_events] == [turn for turn in range(8) if turn not in skipped]
    assert report.ok
    assert {finding.code for finding in report.findings} == {"GS301"}
    assert all("at step 2 (not applied)" in finding.message for finding in report.findings)
    assert {finding.steps for finding in report.findings} == {told}
    assert all("GradScaler" in finding.fix for finding in report.findings)
    assert {model.state.value for model in report.models} == {"flowing"}


# --- torch.compile ---------------------------------------------------------------------------------------------------


def compiled_loop(backend, how):
    """Train compiled models; returns what Dynamo counted, the final state, and the report."""
    from torch._dynamo.utils import counters

    torch._dynamo.reset()
    counters.clear()
    pair = Pair("")
    encoder, decoder = (torch.compile(model, backend=backend) for model in (pair.encoder, pair.decoder))
    watched = {"encoder": encoder, "decoder": pair.decoder}
    scope = gradscope.watch(watched) if how in ("before", "steps") else None
    for turn in scope.steps(range(6)) if how == "steps" else range(6):
        if how == "after" and turn == 2:
            scope = gradscope.watch(watched)
        pair.optimizer.zero_grad()
        mse_loss(decoder(encoder(X)), Y).backward()
        pair.optimizer.step()
    report = scope.report() if scope is not None else None
    if scope is not None:
        scope.close()
    counted = {group: dict(counters[group]) for group in ("stats", "graph_break", "frames", "recompiles")}
    return counted, pair.state(), report


BACKENDS = ["eager", "aot_eager"] + ["inductor"] * (shutil.which("g++") is not None)


@pytest.mark.parametrize("backend", BACKENDS)
def test_watching_adds_no_graph_break_and_no_compilation(backend):
    counted, state, _ = compiled_loop(backend, None)
    for how in ("before", "after", "steps"):
        watched, same, report = compiled_loop(backend, how)

        assert watched == counted
        assert all(torch.equal(left, right) for left, right in zip(state, same, strict=True))
        assert [model.flowing for model in report.models] == [4, 4]
        assert report.run.backwards == (4 if how == "after" else 6)


def test_compiled_optimizer_is_left_whole():
    """Dynamo breaks the graph at step() by itself; the hooks are not taken into what it compiles."""
    from torch._dynamo.utils import counters

    graphs = []
    for watching in (None, "watched"):
        counters.clear()
        _, report = train("compiled_optimizer_step", watching)
        graphs.append((counters["stats"]["unique_graphs"], counters["stats"]["calls_captured"]))

    assert graphs[0] == graphs[1]
    assert len(report.run.step_events) == 4


@pytest.mark.parametrize("wrap", [nn.DataParallel, functools.partial(torch.compile, backend="eager"), torch.jit.script])
def test_a_wrapped_model_is_one_model_with_its_own_names(wrap):
    with Session() as session:
        net = nn.Sequential(nn.Linear(6, 1))
        wrapped = wrap(net)
        optimizer = torch.optim.SGD(wrapped.parameters(), 0.1)
        for _ in range(3):
            optimizer.zero_grad()
            mse_loss(wrapped(X), Y).backward()
            optimizer.step()
        session.read_namespace({"net": net, "wrapped": wrapped})
    report = session.report()

    assert [(model.name, model.class_name) for model in report.models] == [("net", "Sequential")]
    assert [p.owners[0].fqn for p in report.run.parameters.values()] == ["0.weight", "0.bias"]
