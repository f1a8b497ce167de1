"""The graph of one live loss, folded like that of a report: which parameters it reaches, and through which modules.

* The autograd graph names operations and leaves, not modules: `homes` finds the module of each.
* What `.grad` holds is drawn where it is known to come from this loss, else only what the loss reaches. Lines carry
  no norm, and no cut is known: a model the loss does not reach is drawn grey.
* torch is never imported here: the tensor brings all that is needed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from gradscope.records import Edge, Graph, Node
from gradscope.render.crowd import crowd_clusters, merge_crowd, shown
from gradscope.render.dot import to_dot
from gradscope.render.fold import fold
from gradscope.render.graph import DEPTH, Drawing, check_depth
from gradscope.render.homes import Holder, Home, Leaf, Step, homes_of
from gradscope.render.known import Known, Worth, worth_of
from gradscope.render.labels import WORTH_WORDS
from gradscope.render.looks import Cluster, Look
from gradscope.render.palette import model_colour
from gradscope.render.tied import equals, tied_words
from gradscope.render.words import count, listing, number

MAX_NODES = 400_000
Measure = Callable[[Sequence[Any]], Mapping[int, float]]
"""Norms of what `.grad` of some tensors holds, by id; none where that is not of their last backward."""


def live_graph(
    root: Any,
    models: Mapping[str, Any],
    depth: int = DEPTH,
    measure: Measure | None = None,
    stand_ins: Mapping[int, int] | None = None,
) -> Drawing:
    """Draw what the tensor `root` was computed from, folded to `depth` levels of module names.

    `stand_ins`: by id of a tensor that is computed with in the place of a parameter, the id of that.
    """
    check_depth(depth)
    live, left = walk(root.grad_fn)
    norms = measure(variables(live)) if measure else {}
    leaves = _leaves(models, norms)
    of_others = {one: leaves[other] for one, other in (stand_ins or {}).items() if other in leaves}
    steps = _read(live, of_others | leaves)
    del live
    graph = _graph(steps, leaves, tuple(root.shape), left)
    reached: set[int | None] = {node.uid for node in graph.nodes if node.live and node.uid is not None}
    frozen = frozenset(leaf.uid for leaf in leaves.values() if not leaf.trainable)
    graph, crowds = merge_crowd(graph, "that this loss does not reach", frozen)
    known = Known(_classes(models), frozen=frozen, crowds=frozenset(crowd.name for crowd in crowds))
    picture = fold(graph, depth, known)
    clusters = [_cluster(name, model, leaves, reached, i) for i, (name, model) in enumerate(models.items())]
    missed = [cluster.name for cluster in clusters if cluster.look is Look.DEAD and cluster.state != "frozen"]
    remarks = list(picture.remarks)
    if root.grad_fn is None and not root.requires_grad:
        remarks.append("This tensor has no graph: backward() of it raises, and gradscope.explain finds the line.")
    elif missed:
        remarks.append(f"No way leads from this loss to {listing(missed, 3)}: gradscope.explain finds the line.")
    if any(cluster.state == "frozen" for cluster in clusters):
        remarks.append("What is frozen is not in autograd's graph: gradscope.explain shows where it stands.")
    remarks += tied_words([_names_of(leaf) for leaf in leaves.values() if len(leaf.holders) > 1])
    if norms:
        remarks.append("Norms are of what .grad holds after the backward.")
    clusters = [*shown(clusters, crowds), *crowd_clusters(crowds, picture, len(clusters))]
    return Drawing(to_dot(replace(picture, remarks=tuple(remarks)), clusters))


def variables(nodes: Sequence[Any]) -> list[Any]:
    """The leaves among nodes of the autograd graph."""
    return [leaf for node in nodes if (leaf := getattr(node, "variable", None)) is not None]


def walk(start: Any, most: int = MAX_NODES) -> tuple[list[Any], bool]:
    """Nodes of the autograd graph, nearest to the loss first, and whether some were left out."""
    steps = [start] if start is not None else []
    seen = set(steps)
    for step in steps:
        for following, _ in step.next_functions:
            if following is None or following in seen:
                continue
            if len(steps) >= most:
                return steps, True
            seen.add(following)
            steps.append(following)
    return steps, False


def named(model: Any) -> Iterator[tuple[str, Any]]:
    """The parameters of a module, or of a mapping or list of tensors, by name."""
    if hasattr(model, "named_parameters"):
        yield from model.named_parameters()
    elif isinstance(model, Mapping):
        yield from ((str(name), tensor) for name, tensor in model.items())
    elif hasattr(model, "grad_fn"):
        yield "", model
    else:
        yield from ((str(index), tensor) for index, tensor in enumerate(model))


def _leaves(models: Mapping[str, Any], norms: Mapping[int, float]) -> dict[int, Leaf]:
    held: dict[int, list[Holder]] = {}
    tensors: dict[int, tuple[str, Any]] = {}
    for holder, name, tensor in _held(models):
        held.setdefault(id(tensor), []).append(holder)
        tensors.setdefault(id(tensor), (name, tensor))
    return {
        key: Leaf(tuple(held[key]), name, uid, bool(tensor.requires_grad), norms.get(key))
        for uid, (key, (name, tensor)) in enumerate(tensors.items())
    }


def _held(models: Mapping[str, Any]) -> Iterator[tuple[Holder, str, Any]]:
    """Per module and parameter it holds itself. A module that has several names is still one."""
    seen: set[int] = set()
    for model, root in models.items():
        if not hasattr(root, "named_modules"):
            yield from ((Holder((model, ())), name or model, tensor) for name, tensor in named(root))
            continue
        for path, module in root.named_modules():
            holder = Holder((model, tuple(filter(None, path.split(".")))), _class(module))
            if id(module) not in seen:
                yield from ((holder, name, tensor) for name, tensor in module.named_parameters(recurse=False))
            seen.add(id(module))


def _names_of(leaf: Leaf) -> str:
    """All names of a parameter that several modules hold."""
    return equals([".".join((holder.home[0], *holder.home[1], leaf.name)) for holder in leaf.holders])


def _classes(models: Mapping[str, Any]) -> dict[tuple[str, str], str]:
    return {
        (model, fqn): _class(module)
        for model, root in models.items()
        if hasattr(root, "named_modules")
        for fqn, module in root.named_modules()
    }


def _class(module: Any) -> str:
    """The name of the user's class, of which `fully_shard` makes one of its own."""
    kind = type(module)
    made = hasattr(kind, "_get_fsdp_state") and len(kind.__bases__) > 1
    return (kind.__bases__[-1] if made else kind).__name__


def _cluster(name: str, model: Any, leaves: Mapping[int, Leaf], reached: set[int | None], index: int) -> Cluster:
    mine = [leaf for leaf in leaves.values() if name in leaf.models]
    trainable = [leaf for leaf in mine if leaf.trainable]
    hit = sum(leaf.uid in reached for leaf in trainable)
    kind = _class(model) if hasattr(model, "named_parameters") else "parameters"
    if not hit:
        words = "not reached" if trainable else "frozen" if mine else "no parameters of its own"
        return Cluster(name, kind, words, model_colour(index), Look.DEAD)
    norms = [leaf.norm for leaf in mine if leaf.norm is not None and leaf.uid in reached]
    worth = worth_of(math.hypot(*norms) if norms else None)
    parts = [] if norms and hit == len(trainable) else [f"reaches {hit} of {count(len(trainable), 'parameter')}"]
    if norms:
        parts.append(f"gradient {WORTH_WORDS[worth]}" if worth in WORTH_WORDS else f"norm {number(math.hypot(*norms))}")
    if idle := len(mine) - len(trainable):
        parts.append(f"{idle} frozen")
    look = {Worth.ZERO: Look.ZERO, Worth.NONFINITE: Look.NONFINITE}.get(worth, Look.LIVE)
    return Cluster(name, kind, ", ".join(parts), model_colour(index), look)


def _read(live: Sequence[Any], leaves: Mapping[int, Leaf]) -> list[Step]:
    """The nodes as plain facts, farthest from the loss first: to hold 100,000 live ones makes everything else slow."""
    last = len(live)
    places = {step: last - 1 - index for index, step in enumerate(live)}
    return [_step(step, [places[n] for n, _ in step.next_functions if n in places], leaves) for step in live[::-1]]


def _step(node: Any, sources: list[int], leaves: Mapping[int, Leaf]) -> Step:
    variable = getattr(node, "variable", None)
    if variable is None:
        kind = type(node).__name__
        turned = getattr(node, "_saved_transposed", False)
        return Step(kind.replace("Convolution", "ConvTranspose") if turned else kind, sources)
    return Step(f"leaf {tuple(variable.shape)}", sources, True, leaves.get(id(variable)))


def _graph(steps: list[Step], leaves: Mapping[int, Leaf], shape: tuple[int, ...], left: bool) -> Graph:
    homes = homes_of(steps)
    nodes = [_node(at, step, home) for at, (step, home) in enumerate(zip(steps, homes, strict=True))]
    edges = [Edge(source, at) for at, step in enumerate(steps) for source in dict.fromkeys(step.sources)]
    loss = len(steps)
    seen = {step.owner.uid for step in steps if step.owner is not None}
    nodes += [
        Node(loss + 1 + leaf.uid, "parameter", leaf.name, *_place(leaf.home), live=False, uid=leaf.uid)
        for leaf in leaves.values()
        if leaf.uid not in seen
    ]
    nodes.append(Node(loss, "loss", f"loss {shape}" if shape else "loss"))
    if steps:
        edges.append(Edge(loss - 1, loss))
    return Graph(tuple(nodes), tuple(edges), truncated=int(left))


def _node(number: int, step: Step, home: Home) -> Node:
    if step.owner is not None:
        leaf = step.owner
        return Node(number, "parameter", leaf.name, *_place(home), norm=leaf.norm, uid=leaf.uid)
    if step.leaf:
        return Node(number, "input", step.label)
    return Node(number, "op", step.label, *_place(home))


def _place(home: Home) -> tuple[str, str]:
    return home[0], ".".join(home[1])
