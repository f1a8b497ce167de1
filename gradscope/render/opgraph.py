"""The exact autograd graph of one live loss: every operation, every parameter by its name.

* torchviz draws it where it can. It walks recursively (RecursionError near 1,000 chained operations), names nodes
  by their address, and needs `distutils`; so nodes are renumbered, and what it cannot do is walked iteratively here
  with the same look.
* torchviz asks for "monospace", which a Graphviz without Pango measures as Times: text runs over. Courier fits.
* A model the loss does not reach is not in the autograd graph; it is drawn beside it, because that is the news.
* torch is never imported here: the tensor brings all that is needed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from gradscope.render import escape
from gradscope.render.graph import Drawing
from gradscope.render.labels import quoted
from gradscope.render.palette import DEAD
from gradscope.render.words import count

SAFE_NODES = 400
"""torchviz may recurse once per node, on top of the user's own stack."""
MAX_NODES = 1500
"""dot needs 1 s for 2,000 nodes and 27 s for 6,000."""

_LOOK = (
    "  node [align=left, fontname=Courier, fontsize=10, height=0.2, ranksep=0.1, shape=box, style=filled];",
    f'  edge [color="{DEAD}"];',
)
_NUMBER = re.compile(r"^\t(\d+)(?: -> (\d+))?(?= \[|$)")


def op_graph(root: Any, models: Mapping[str, Any]) -> Drawing:
    """Draw the autograd graph of the tensor `root`, parameters named `model.fqn`."""
    names = {id(p): f"{model}.{fqn}" for model, module in models.items() for fqn, p in module.named_parameters()}
    nodes, left = _walk(root.grad_fn)
    body = _by_torchviz(root, models) if len(nodes) <= SAFE_NODES and not left else None
    if body is None:
        body = list(_by_hand(nodes, names, root))
    reached = {id(leaf) for node in nodes if (leaf := getattr(node, "variable", None)) is not None}
    remark = f"The {len(nodes):,} operations nearest to the loss; more were left out." if left else ""
    beside = [] if left else list(_unreached(models, reached))
    height = max(12.0, len(nodes) * 0.15)
    head = (
        f'  graph [size="12,{height:g}", bgcolor=transparent, fontname=Courier, fontsize=10, fontcolor="{DEAD}",'
        f' labelloc=b, label="{remark}"];'
    )
    return Drawing("\n".join(["digraph gradscope {", head, *_LOOK, *body, *beside, "}", ""]))


def _walk(start: Any) -> tuple[list[Any], bool]:
    """Nodes of the autograd graph, nearest to the loss first, and whether some were left out."""
    nodes = [start] if start is not None else []
    seen = set(nodes)
    for node in nodes:
        for following, _ in node.next_functions:
            if following is None or following in seen:
                continue
            if len(nodes) >= MAX_NODES:
                return nodes, True
            seen.add(following)
            nodes.append(following)
    return nodes, False


def _by_torchviz(root: Any, models: Mapping[str, Any]) -> list[str] | None:
    """The lines of torchviz's drawing with running numbers, or None where it cannot."""
    named = {_label(f"{model}.{fqn}"): p for model, module in models.items() for fqn, p in module.named_parameters()}
    try:
        import torchviz

        drawn = torchviz.make_dot(root, params=named)
    except (ImportError, RecursionError):
        return None
    numbers: dict[str, str] = {}

    def renumber(match: re.Match[str]) -> str:
        ends = [numbers.setdefault(end, f"n{len(numbers)}") for end in match.groups() if end]
        return "  " + " -> ".join(ends)

    return [_NUMBER.sub(renumber, line.rstrip("\n")) + ";" for line in drawn.body]


def _by_hand(nodes: list[Any], names: Mapping[int, str], root: Any) -> Iterable[str]:
    """The same drawing without recursion."""
    number = {node: index for index, node in enumerate(nodes)}
    yield f'  loss [label="{_label(str(tuple(root.shape)))}", fillcolor=darkolivegreen1];'
    if nodes:
        yield "  n0 -> loss;"
    for node, index in number.items():
        yield f'  n{index} [label="{_label(type(node).__name__)}", fillcolor=lightgrey];'
        leaf = getattr(node, "variable", None)
        if leaf is not None:
            label = f"{_label(names.get(id(leaf), ''))}\\n {_label(str(tuple(leaf.shape)))}"
            yield f'  v{index} [label="{label}", fillcolor=lightblue];'
            yield f"  v{index} -> n{index};"
        for before, _ in node.next_functions:
            if before in number:
                yield f"  n{number[before]} -> n{index};"


def _unreached(models: Mapping[str, Any], reached: set[int]) -> Iterable[str]:
    for index, (name, module) in enumerate(models.items()):
        leaves = [p for p in module.parameters() if p.requires_grad]
        if leaves and not any(id(p) in reached for p in leaves):
            said = f"{_label(name)}\\nnot reached: {count(len(leaves), 'parameter')}"
            yield f'  u{index} [label="{said}", style=dashed, color="{DEAD}", fontcolor="{DEAD}"];'


def _label(text: str) -> str:
    return quoted(escape.plain(text))
