"""Hand-made runs, findings and reports for tests of diagnosis and rendering: no training, no torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from gradscope.diagnosis.finding import Evidence, Finding, Severity, State
from gradscope.records import (
    Backward,
    Edge,
    Graph,
    Group,
    Histogram,
    Location,
    Model,
    Node,
    Optimizer,
    OptimizerStep,
    Owner,
    Parameter,
    Path,
    Run,
    Tally,
)
from gradscope.report import Report

BACKWARD = Location("train.py", 50, "main", "loss.backward()")
STEP = Location("train.py", 51, "main", "optimizer.step()")
CALL = Location("train.py", 44, "main", "latents = extractor(batch)")
INNER = Location("extractor.py", 31, "forward", "self.keep(self.encoder(batch))")
CULPRIT = Location("extractor.py", 14, "keep", "self.latents = output.clone().detach()")

Norms = Mapping[str, float | None]
"""Per parameter name, the norm of its gradient; a name that is missing received nothing."""


def make_run(
    models: Mapping[str, Norms | Iterable[str]],
    *,
    classes: Mapping[str, str] | None = None,
    steps: int = 8,
    frozen: Iterable[str] = (),
    lines: Iterable[tuple[Location, Iterable[str]]] = (),
    notes: tuple[str, ...] = (),
    traced: int = 1,
) -> Run:
    """A run of `steps` steps. A model given as names alone got no gradient; `frozen` names whole models.

    `lines` are backward lines with the models each of them reaches; one line reaches all by default.
    """
    frozen = set(frozen)
    parameters: dict[int, Parameter] = {}
    norms: dict[str, dict[int, float | None]] = {}
    built = []
    for name, content in models.items():
        uids = range(len(parameters), len(parameters) + len(tuple(content)))
        for uid, fqn in zip(uids, content, strict=True):
            parameters[uid] = make_parameter(uid, name, fqn, trainable=name not in frozen)
        given = content if isinstance(content, Mapping) else {}
        norms[name] = {uid: given[fqn] for uid, fqn in zip(uids, content, strict=True) if fqn in given}
        built.append(Model(name, (classes or {}).get(name, name.title()), tuple(uids)))
    held = tuple(uid for uid, parameter in parameters.items() if parameter.trainable)
    rows = tuple(lines) or ((BACKWARD, tuple(models)),)
    events = list(_events(rows, norms, held, steps))
    return Run(
        torch="2.13.0",
        gradscope="0.1.0",
        script="train.py",
        steps=steps,
        backwards=steps * len(rows),
        models=tuple(built),
        parameters=parameters,
        optimizers=(Optimizer(0, "optimizer", "Adam", (Group(held, 1e-3),), (STEP,), steps=steps),),
        events=tuple(events),
        tallies=_tallies(parameters, norms, rows, steps),
        notes=notes,
        traced=traced,
        histograms=tuple(_histogram(uid) for each in norms.values() for uid in list(each)[:2]),
    )


def make_parameter(uid: int, model: str, fqn: str, *, trainable: bool = True) -> Parameter:
    """A 16x8 weight, or a vector of 16 when its name ends in `bias`."""
    shape = (16,) if fqn.endswith("bias") else (16, 8)
    return Parameter(uid, shape, "torch.float32", "cpu", trainable, (Owner(model, fqn),), "Linear")


def make_finding(
    model: str = "encoder",
    parameters: Iterable[str] = ("patchify.weight", "patchify.bias"),
    *,
    code: str = "GS101",
    name: str = "disconnected-model",
    severity: Severity = Severity.ERROR,
    state: str = State.NONE,
    cause: str = "detach",
    evidence: Evidence = Evidence.TRACED,
    message: str = "encoder gets no gradient: its output is detached before the loss, in 8 of 8 steps.",
    fix: str = "Keep the tensor itself: drop `.detach()`.",
    path: Path = (CALL, INNER, CULPRIT),
    also: Path = (),
    detail: str = "",
) -> Finding:
    """The finding of the design document, any part of it replaced; the blamed line is the last of `path`."""
    location = path[-1] if path else None
    return Finding(
        code, name, severity, model, tuple(parameters), state, cause, evidence, message, fix, location, path, also,
        (0, 7), detail,
    )  # fmt: skip


def make_report(run: Run, findings: Iterable[Finding] = ()) -> Report:
    """A report that holds exactly these findings, whatever the rules would say."""
    report = Report(run)
    report.__dict__["findings"] = tuple(findings)
    return report


def healthy_report() -> Report:
    """Two models, one loss, nothing wrong."""
    return make_report(make_run({"encoder": weights(3, 0.2), "decoder": weights(2, 0.31)}))


def sick_report() -> Report:
    """Two models, one loss; the encoder is detached and one decoder bias is always zero."""
    names = tuple(weights(6, 1.0))
    decoder = {**weights(2, 0.31), "scale.bias": 0.0}
    run = make_run(
        {"encoder": names, "decoder": decoder},
        classes={"encoder": "PatchEncoder"},
        notes=("Lines inside torch.compile are not traced.", "Backward passes before step 0 were not seen."),
    )
    zero = make_finding(
        "decoder",
        ("scale.bias",),
        code="GS201",
        name="zero-gradient",
        severity=Severity.WARNING,
        state=State.ZERO,
        cause="dead_relu",
        evidence=Evidence.INFERRED,
        message="decoder.scale.bias got a gradient of exactly zero in 8 of 8 backward passes.",
        fix="Initialise the bias at 0, or use a leaky ReLU.",
        path=(Location("decoder.py", 22, "forward", "return torch.relu(self.scale(x) - 10)"),),
        also=(Location("decoder.py", 27, "forward", "x = x.clamp(0, 1)"),),
        detail="100% of the 2,048 inputs of relu were negative.",
    )
    return make_report(replace(run, graph=cut_graph()), (make_finding("encoder", names), zero))


def gan_report() -> Report:
    """Two backward lines, of which one reaches both models; an info finding alone."""
    d_line = Location("gan.py", 31, "train", "d_loss.backward()")
    g_line = Location("gan.py", 40, "train", "g_loss.backward()")
    run = make_run(
        {"generator": weights(2, 0.04), "critic": weights(2, 1234.0), "teacher": ("w.weight",)},
        frozen=("teacher",),
        lines=((d_line, ("critic",)), (g_line, ("generator", "critic"))),
    )
    info = make_finding(
        "critic",
        (),
        code="GS305",
        name="foreign-gradient",
        severity=Severity.INFO,
        state=State.FLOWING,
        cause="missing_zero_grad",
        evidence=Evidence.OBSERVED,
        message="critic also receives gradients from gan.py:40, and they are cleared before its optimizer steps.",
        fix="",
        path=(g_line,),
    )
    return make_report(run, (info,))


def hostile_report(name: str) -> Report:
    """A report in which every string of the user is `name`."""
    place = Location(name, 7, name, name)
    run = make_run(
        {name: {name: 1.0}, f"{name}2": (name,)}, classes={name: name}, lines=((place, (name,)),), notes=(name,)
    )
    finding = make_finding(
        f"{name}2",
        (name,),
        message=name,
        fix=name,
        detail=name,
        cause=name,
        name=name,
        path=(place, place),
        also=(place,),
    )
    return make_report(run, (finding,))


def cut_graph() -> Graph:
    """Input, encoder, a detach, decoder, loss."""
    nodes = (
        Node(0, "input", "batch", live=False),
        Node(1, "parameter", "layers.0.weight", "encoder", "layers.0", live=False, uid=0),
        Node(2, "op", "AddmmBackward0", "encoder", "layers.0", live=False, location=INNER),
        Node(3, "parameter", "layers.0.weight", "decoder", "layers.0", norm=0.31, uid=12),
        Node(4, "op", "AddmmBackward0", "decoder", "layers.0", norm=0.31),
        Node(5, "loss", "loss", norm=1.0, location=BACKWARD),
    )
    edges = (
        Edge(0, 2, live=False),
        Edge(1, 2, live=False),
        Edge(2, 4, live=False, cut="detach", location=CULPRIT, requires=True),
        Edge(3, 4, norm=0.31),
        Edge(4, 5, norm=0.31),
    )
    return Graph(nodes, edges)


def weights(layers: int, norm: float) -> dict[str, float | None]:
    """Weights and biases of some layers, with falling gradient norms."""
    return {f"layers.{i}.{part}": norm / (i + 1) for i in range(layers) for part in ("weight", "bias")}


def _events(
    rows: tuple[tuple[Location, Iterable[str]], ...],
    norms: Mapping[str, Mapping[int, float | None]],
    held: tuple[int, ...],
    steps: int,
) -> Iterable[Backward | OptimizerStep]:
    clock = index = 0
    for step in range(steps):
        reached: dict[int, float | None] = {}
        for line, models in rows:
            got = {uid: norm for model in models for uid, norm in norms[model].items()}
            reached |= got
            yield Backward(clock, step, index, (line,), got, loss=1.0 / (step + 1))
            clock, index = clock + 1, index + 1
        seen = {uid: norm for uid, norm in reached.items() if uid in held}
        yield OptimizerStep(clock, step, step, 0, (STEP,), seen, (1e-3,), dict.fromkeys(seen, 2e-3))
        clock += 1


def _tallies(
    parameters: Mapping[int, Parameter],
    norms: Mapping[str, Mapping[int, float | None]],
    rows: tuple[tuple[Location, Iterable[str]], ...],
    steps: int,
) -> dict[int, Tally]:
    times = {model: sum(model in models for _, models in rows) * steps for model in norms}
    answer = {}
    for model, each in norms.items():
        for uid, norm in each.items():
            count, zero = times[model], norm == 0
            answer[uid] = Tally(
                backwards=count, zero=count * zero, nonfinite=count * (norm is not None and norm != norm),
                measured=count, steps=steps, norm_max=norm, norm_last=norm, ratio_last=2e-3,
            )  # fmt: skip
    for uid, parameter in parameters.items():
        if uid not in answer and parameter.trainable:
            answer[uid] = Tally(steps=steps, steps_none=steps, none_streak=steps, trainable_steps=steps)
    return answer


def _histogram(uid: int) -> Histogram:
    return Histogram(uid, 0, -8, (1, 4, 9, 20, 12, 3), (2, 5, 10, 18, 11, 4), zeros=2)
