"""Reports with graphs made by hand, without torch: shapes a traced step can have, at any size."""

from __future__ import annotations

from gradscope.records import (
    Backward,
    Cut,
    Edge,
    Graph,
    Group,
    Location,
    Model,
    Node,
    Optimizer,
    Owner,
    Parameter,
    Run,
    Tally,
)
from gradscope.report import Report

CUT_LINE = Location("extractor.py", 14, "keep", "self.latents = output.clone().detach()")
LOSS_LINE = Location("train.py", 50, "main", "loss.backward()")


class Sketch:
    """Collects nodes and edges under running ids."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.edges: list[Edge] = []

    def node(self, kind: str, label: str, model: str = "", module: str = "", **more: object) -> int:
        self.nodes.append(Node(len(self.nodes), kind, label, model, module, **more))  # type: ignore[arg-type]
        return len(self.nodes) - 1

    def op(
        self, label: str, model: str, module: str, *sources: int, live: bool = True, norm: float | None = None
    ) -> int:
        """An operation with live edges from live sources."""
        made = self.node("op", label, model, module, live=live)
        for source in sources:
            flows = live and self.nodes[source].live
            self.edges.append(Edge(source, made, live=flows, norm=norm if flows else None))
        return made

    def layer(self, model: str, module: str, source: int, live: bool = True, norm: float = 0.1) -> int:
        """A linear layer: two parameters and one operation."""
        made = self.op("AddmmBackward0", model, module, source, live=live, norm=norm)
        for name in ("weight", "bias"):
            uid = len(self.nodes)
            leaf = self.node("parameter", name, model, module, live=live, norm=norm if live else None, uid=uid)
            self.edges.append(Edge(leaf, made, live=live, norm=norm if live else None))
        return made

    def cut(
        self,
        source: int,
        target: int,
        cause: str = "detach",
        location: Location | None = CUT_LINE,
        *,
        requires: bool | None = True,
    ) -> None:
        self.edges.append(Edge(source, target, live=False, cut=cause, location=location, requires=requires))

    def loss(self, *sources: int, label: str = "loss", line: int = 50, norm: float | None = 1.0) -> int:
        made = self.node("loss", label, location=Location("train.py", line, "main", f"{label}.backward()"))
        for source in sources:
            live = self.nodes[source].live
            self.edges.append(Edge(source, made, live=live, norm=norm if live else None))
        return made

    def graph(self) -> Graph:
        return Graph(tuple(self.nodes), tuple(self.edges))


def report_of(sketch: Sketch, classes: dict[str, str], dead: tuple[str, ...] = ()) -> Report:
    """A report on a sketch: one parameter per model is enough for its state."""
    parameters, tallies, models, norms = {}, {}, [], {}
    for uid, (name, class_name) in enumerate(classes.items()):
        parameters[uid] = Parameter(uid, (3, 3), "float32", "cpu", True, (Owner(name, "weight"),))
        tallies[uid] = Tally(steps=4, steps_none=4) if name in dead else Tally(backwards=4, measured=4, steps=4)
        models.append(Model(name, class_name, (uid,)))
        if name not in dead:
            norms[uid] = 0.31
    run = Run(
        steps=4,
        backwards=4,
        models=tuple(models),
        parameters=parameters,
        optimizers=(Optimizer(0, "optimizer", "Adam", (Group(tuple(parameters), 1e-3),)),),
        events=(Backward(0, 0, 0, (LOSS_LINE,), norms),),
        tallies=tallies,
        cuts=tuple(Cut("detach", frozenset({u}), (CUT_LINE,), "detach", 0) for u, n in enumerate(classes) if n in dead),
        traced=1,
        graph=sketch.graph() if sketch.nodes else None,
    )
    return Report(run)


def two_model_cut() -> Report:
    """An encoder whose latents are detached before the decoder gets them."""
    s = Sketch()
    pixels = s.node("input", "images", live=False)
    h = s.layer("encoder", "patchify", pixels, live=False)
    for i in range(6):
        h = s.layer("encoder", f"layers.{i}", h, live=False)
        h = s.op("GeluBackward0", "encoder", f"layers.{i}", h, live=False)
    h = s.layer("encoder", "norm", h, live=False)
    kept = s.node("op", "detach", "encoder", "", live=False)
    s.cut(h, kept)
    d = s.layer("decoder", "stem", kept, norm=0.004)
    for i in range(4):
        d = s.layer("decoder", f"blocks.{i}", d, norm=0.01 * 3**i)
    out = s.layer("decoder", "head", d, norm=0.9)
    target = s.node("input", "targets", live=False)
    error = s.op("MseLossBackward0", "", "", out, target, norm=1.0)
    s.loss(error)
    return report_of(s, {"encoder": "Encoder", "decoder": "Decoder"}, dead=("encoder",))


def deep_net(layers: int = 1000) -> Report:
    """A Sequential of `layers` layers, Linear and ReLU by turns."""
    s = Sketch()
    h = s.node("input", "x", live=False)
    for i in range(layers):
        name = f"body.{i}"
        h = s.op("ReluBackward0", "net", name, h) if i % 2 else s.layer("net", name, h, norm=10.0 ** (-i / layers * 6))
    s.loss(s.layer("net", "head", h))
    return report_of(s, {"net": "Deep"})


def transformer(layers: int = 12) -> Report:
    """Residual blocks: attention and mlp each added to the stream in the block's own forward."""
    s = Sketch()
    h = s.layer("net", "embed", s.node("input", "tokens", live=False))
    h = s.op("AddBackward0", "net", "", h, s.node("parameter", "position", "net", "", norm=0.02))
    for i in range(layers):
        for part in ("attn", "mlp"):
            inner = s.layer(
                "net", f"layers.{i}.{part}.fc", s.op("NativeLayerNormBackward0", "net", f"layers.{i}.norm", h)
            )
            h = s.op("AddBackward0", "net", f"layers.{i}", h, inner, norm=0.5)
    s.loss(s.op("NllLossBackward0", "", "", s.layer("net", "head", h)))
    return report_of(s, {"net": "Transformer"})


def unrolled_rnn(steps: int = 200) -> Report:
    """A cell called in a loop of the user's code, its outputs summed into a loss; the first half is cut off."""
    s = Sketch()
    h = s.node("input", "h0", live=False)
    losses = []
    cut_at = steps // 2
    for t in range(steps):
        live = t >= cut_at
        x = s.node("input", f"x{t}", live=False)
        if t == cut_at:
            fresh = s.node("op", "detach", live=False)
            s.cut(h, fresh, location=Location("rnn.py", 31, "forward", "h = h.detach()"))
            h = fresh
        gates = s.op(
            "AddBackward0",
            "rnn",
            "cell",
            s.layer("rnn", "cell.ih", x, live),
            s.layer("rnn", "cell.hh", h, live),
            live=live,
        )
        h = s.op("TanhBackward0", "rnn", "cell", gates, live=live)
        if live:
            losses.append(s.op("MseLossBackward0", "", "", s.layer("rnn", "out", h)))
    s.loss(s.op("StackBackward0", "", "", *losses))
    return report_of(s, {"rnn": "Recurrent"})


def gan() -> Report:
    """One step of a GAN with both losses: the discriminator sees the fakes detached, then attached."""
    s = Sketch()
    fake = s.node("input", "noise", live=False)
    for i in range(3):
        fake = s.layer("generator", f"net.{i}", fake, norm=0.02 * (i + 1))
    real = s.node("input", "real", live=False)
    frozen_fake = s.node("op", "detach", live=False)
    s.cut(fake, frozen_fake, location=Location("train.py", 31, "step", "d_fake = critic(fake.detach())"))

    def judge(x: int) -> int:
        for i in range(3):
            x = s.layer("critic", f"net.{i}", x, norm=0.4)
        return x

    s.loss(s.op("BinaryCrossEntropyBackward0", "", "", judge(real), judge(frozen_fake)), label="d_loss", line=33)
    s.loss(s.op("BinaryCrossEntropyBackward0", "", "", judge(fake)), label="g_loss", line=38)
    return report_of(s, {"generator": "Generator", "critic": "Critic"})


def many_models(count: int = 400) -> Report:
    """More models than anyone can look at."""
    s = Sketch()
    x = s.node("input", "x", live=False)
    outs = [s.layer(f"expert{i}", "fc", x) for i in range(count)]
    s.loss(s.op("StackBackward0", "", "", *outs))
    return report_of(s, {f"expert{i}": "Expert" for i in range(count)})


def irregular(width: int = 40) -> Report:
    """Blocks that are all different: nothing to fold by repetition, so the depth must give."""
    s = Sketch()
    h = s.node("input", "x", live=False)
    for i in range(width):
        for j in range(width):
            h = s.op(f"Op{i}x{j}Backward0", "net", f"stage{i}.part{j}.inner", h)
    s.loss(h)
    return report_of(s, {"net": "Irregular"})


HOSTILE = (
    'quo"te',
    "a > b [label=<x>]; evil -> n0",
    "<b>bold</b><script>alert(1)</script>",
    "line\nbreak",
    "back\\slash\\N",
    "&amp; &lt;",
    "\x00\x1b[31m",
    "]]> --> ",
    "",
    "\ud800",
    "名前" * 60,
)


def hostile() -> Report:
    """Every name, label, cause and line is one that tries to break out."""
    s = Sketch()
    classes = {name: name for name in HOSTILE if name}
    h = s.node("input", HOSTILE[0], live=False)
    for name in classes:
        bad = Location(name, 3, name, name)
        made = s.node("op", name, name, f"{name}.{name}", location=bad)
        s.edges.append(Edge(h, made, norm=0.1))
        cut = s.node("op", name, "", "", live=False, location=bad)
        s.cut(made, cut, cause=name, location=bad)
        h = s.op(name, name, f"other.{name}", cut)
    s.nodes.append(Node(len(s.nodes), "loss", HOSTILE[2], location=Location(HOSTILE[1], 1, "", HOSTILE[2])))
    s.edges.append(Edge(h, len(s.nodes) - 1, norm=float("nan")))
    return report_of(s, classes)


def untraced() -> Report:
    """Facts without a graph."""
    return report_of(Sketch(), {"encoder": "Encoder", "decoder": "Decoder", "teacher": "Teacher"}, dead=("encoder",))
