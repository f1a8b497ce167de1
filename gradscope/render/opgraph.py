"""The exact autograd graph of one live loss: every operation, every parameter by its name.

* torchviz draws it where it can. It walks recursively (RecursionError near 1,000 chained operations), names nodes
  by their address, and needs `distutils`; so nodes are renumbered and given our colours, and what it cannot do is
  walked iteratively here with the same look.
* torchviz asks for "monospace", which a Graphviz without Pango measures as Times: text runs over. Courier fits.
* A parameter that is used again and again (the cell of an unrolled RNN) stands beside each use: lines from one box
  to all of them are long, hide the rest, and took dot 17 s for 50 turns.
* What the loss does not reach, or is frozen, is not in the autograd graph: it is drawn beside it, as it is the news.
* torch is never imported here: the tensor brings all that is needed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from gradscope.render import escape
from gradscope.render.graph import Drawing
from gradscope.render.known import Worth, worth_of
from gradscope.render.labels import WORTH_WORDS, quoted, safe
from gradscope.render.livegraph import Measure, named, variables, walk
from gradscope.render.looks import GLUE
from gradscope.render.palette import CUT, DEAD, INK, PAPER, TEXT, ZERO, model_colour, shade, tint
from gradscope.render.words import count, number

SAFE_NODES = 400
"""torchviz may recurse once per node, on top of the user's own stack."""
MAX_NODES = 1500
"""dot needs 1 s for 2,000 nodes and 27 s for 6,000."""
MANY_USES = 8
MAX_NAME = 40
"""Characters of a model's name in the legend."""

_LOOK = (
    f'  node [shape=box, style="rounded,filled", fontname=Courier, fontsize=10, fontcolor="{INK}", fillcolor="{PAPER}",'
    f' color="{GLUE}", height=0.2, margin="0.1,0.05"];',
    f'  edge [color="{GLUE}", arrowsize=0.7];',
)
_LOSS = f'style=filled, fillcolor="{INK}", fontcolor="{PAPER}", color="{DEAD}"'
_GREY = (
    f'style="rounded,filled,dashed", fillcolor="{tint(DEAD, 0.22)}", color="{DEAD}", fontcolor="{shade(DEAD, 0.65)}"'
)


class Leaf(NamedTuple):
    """A parameter: its name, the colour of its model, and the norm of what its `.grad` holds, if that is known."""

    name: str
    colour: str
    norm: float | None = None


Leaves = Mapping[int, Leaf]
"""Per id of a parameter."""

_NOBODY = Leaf("", DEAD)
_NUMBER = re.compile(r"^\t(\d+)(?: -> (\d+))?(?= \[|$)")


def op_graph(root: Any, models: Mapping[str, Any], measure: Measure | None = None) -> Drawing:
    """Draw the autograd graph of the tensor `root`, parameters named `model.fqn` in the colour of their model."""
    nodes, left = walk(root.grad_fn, MAX_NODES)
    norms = measure(variables(nodes)) if measure else {}
    leaves = {
        id(p): Leaf(f"{model}.{fqn}".rstrip("."), model_colour(index), norms.get(id(p)))
        for index, (model, module) in enumerate(models.items())
        for fqn, p in named(module)
    }
    shared = _shared(nodes)
    body = _by_torchviz(root, leaves, models) if len(nodes) <= SAFE_NODES and not left and not shared else None
    if body is None:
        body = list(_by_hand(nodes, leaves, root, shared))
    reached = {id(leaf) for node in nodes if (leaf := getattr(node, "variable", None)) is not None}
    beside = [] if left else list(_beside(models, reached))
    remarks = [f"The {len(nodes):,} operations nearest to the loss; more were left out."] if left else []
    remarks += ["Norms are of what .grad holds after the backward."] if norms else []
    remarks += [f"A parameter with more than {MANY_USES} uses is drawn at each of them."] if shared else []
    head = (
        f'  graph [bgcolor=transparent, fontname=Helvetica, fontsize=10, fontcolor="{TEXT}", labelloc=b,'
        f" label=<{_legend(models, reached, remarks)}>];"
    )
    return Drawing("\n".join(["digraph gradscope {", head, *_LOOK, *body, *beside, "}", ""]))


def _legend(models: Mapping[str, Any], reached: set[int], remarks: Iterable[str]) -> str:
    rows = []
    for index, (name, module) in enumerate(models.items()):
        leaves = [p for _, p in named(module) if p.requires_grad]
        hit = sum(id(p) in reached for p in leaves)
        frozen = sum(not p.requires_grad for _, p in named(module))
        words = f"the loss reaches {hit} of {count(len(leaves), 'parameter')}" + f", {frozen} frozen" * bool(frozen)
        if not leaves:
            words = "frozen" if frozen else "no parameters of its own"
        colour = model_colour(index) if hit else DEAD
        told = f"{safe(name, MAX_NAME)}: {words}"
        rows.append(f'<tr><td><font color="{colour}">&#9632;</font></td><td align="left">{told}</td></tr>')
    rows += [f'<tr><td></td><td align="left"><b>{remark}</b></td></tr>' for remark in remarks]
    table = "".join(rows) or "<tr><td></td></tr>"
    return f'<table border="0" cellborder="0" cellspacing="0" cellpadding="2">{table}</table>'


def _by_torchviz(root: Any, leaves: Leaves, models: Mapping[str, Any]) -> list[str] | None:
    """The lines of torchviz's drawing with running numbers and our colours, or None where it cannot."""
    tensors = {id(p): p for module in models.values() for _, p in named(module)}
    known = {_label(leaf.name): tensors[key] for key, leaf in leaves.items()}
    try:
        import torchviz

        drawn = torchviz.make_dot(root, params=known)
    except (ImportError, RecursionError):
        return None
    looks = {_label(leaf.name): leaf for leaf in leaves.values()}
    numbers: dict[str, str] = {}

    def renumber(match: re.Match[str]) -> str:
        ends = [numbers.setdefault(end, f"n{len(numbers)}") for end in match.groups() if end]
        return "  " + " -> ".join(ends)

    return [_NUMBER.sub(renumber, _recolour(line.rstrip("\n"), looks, root)) + ";" for line in drawn.body]


def _recolour(line: str, looks: Mapping[str, Leaf], root: Any) -> str:
    start, _, rest = line.partition(" [label=")
    if "fillcolor=darkolivegreen" in rest:
        return f'{start} [label="{_label(_loss(root))}", {_LOSS}]'
    if "fillcolor=lightblue" in rest:
        leaf = looks.get(rest.lstrip('"').partition("\n")[0], _NOBODY)
        line = line.replace(
            '[label="\n ', '[label="'
        )  # an empty first line crashes the Graphviz that pygraphviz brings
        line = line[: line.rindex("fillcolor=lightblue")] + _leaf_look(leaf) + "]"
        return re.sub(r'\)"(?= )', lambda _: f'){_gradient(leaf)}"', line, count=1)
    return line.replace(" fillcolor=lightgrey", "")


def _loss(root: Any) -> str:
    shape = tuple(root.shape)
    return f"loss {shape}" if shape else "loss"


def _leaf_look(leaf: Leaf) -> str:
    """As boxes of the folded graph look: see `looks`."""
    worth = worth_of(leaf.norm)
    if worth is Worth.ZERO:
        return f'fillcolor="{PAPER}", color="{ZERO}", penwidth=1.8'
    if worth is Worth.NONFINITE:
        return f'fillcolor="{tint(CUT, 0.2)}", color="{CUT}", penwidth=1.8'
    return f'fillcolor="{tint(leaf.colour, 0.35)}", color="{shade(leaf.colour, 0.85)}"'


def _gradient(leaf: Leaf) -> str:
    """A line on what its gradient is, where that is known."""
    if leaf.norm is None:
        return ""
    worth = worth_of(leaf.norm)
    return "\\n" + (f"gradient {WORTH_WORDS[worth]}" if worth in WORTH_WORDS else f"norm {number(leaf.norm)}")


def _shared(nodes: list[Any]) -> set[Any]:
    """Leaves with so many uses that each use gets a box of its own."""
    uses = Counter(before for node in nodes for before, _ in node.next_functions)
    return {node for node in nodes if uses[node] > MANY_USES and getattr(node, "variable", None) is not None}


def _by_hand(nodes: list[Any], leaves: Leaves, root: Any, shared: set[Any]) -> Iterable[str]:
    """The same drawing without recursion."""
    number = {node: index for index, node in enumerate(nodes)}
    yield f'  loss [label="{_label(_loss(root))}", {_LOSS}];'
    if nodes:
        yield "  n0 -> loss;"
    for node, index in number.items():
        if node in shared:
            continue
        yield f'  n{index} [label="{_label(type(node).__name__)}"];'
        if getattr(node, "variable", None) is not None:
            yield from _leaf(node.variable, leaves, f"v{index}", index)
        for place, (before, _) in enumerate(node.next_functions):
            if before in shared:
                yield from _leaf(before.variable, leaves, f"v{index}_{place}", index)
            elif before in number:
                yield f"  n{number[before]} -> n{index};"


def _leaf(variable: Any, leaves: Leaves, box: str, user: int) -> Iterable[str]:
    leaf = leaves.get(id(variable), _NOBODY)
    shape = ", ".join(map(str, variable.shape))
    yield f'  {box} [label="{_label(leaf.name)}\\n({shape}){_gradient(leaf)}", {_leaf_look(leaf)}];'
    yield f"  {box} -> n{user};"


def _beside(models: Mapping[str, Any], reached: set[int]) -> Iterable[str]:
    """What is not in the autograd graph: parameters that the loss does not reach, and frozen ones."""
    for index, (name, module) in enumerate(models.items()):
        parameters = [p for _, p in named(module)]
        missed = sum(p.requires_grad and id(p) not in reached for p in parameters)
        frozen = sum(not p.requires_grad for p in parameters)
        said = [f"not reached: {count(missed, 'parameter')}"] * bool(missed)
        said += [f"frozen: {count(frozen, 'parameter')}"] * bool(frozen)
        if said:
            words = "\\n".join((_label(name), *said))
            yield f'  u{index} [label="{words}", {_GREY}];'


def _label(text: str) -> str:
    return quoted(escape.plain(text))
