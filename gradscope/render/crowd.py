"""More models than anyone can look at: those that are alike are drawn as one, which lists their names."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from gradscope.records import Graph
from gradscope.render.folded import Picture
from gradscope.render.looks import Cluster, Look
from gradscope.render.palette import model_colour
from gradscope.render.stream import Flow

MAX_MODELS = 12
MAX_LONELY = 2
"""Models that nothing leads to or from: more of them than these are drawn as one, what is connected needs the room."""


@dataclass(frozen=True, slots=True)
class Crowd:
    """Models that are drawn as one: what that is called, and who they are."""

    name: str
    members: tuple[str, ...]


def merge_crowd(
    graph: Graph, apart: str = "not in this step", frozen: Collection[int] = ()
) -> tuple[Graph, tuple[Crowd, ...]]:
    """Put the models that are too many together; the module of their nodes is the model they are of.

    Those that nothing is connected to go first, which `apart` says in words; models with a part that gets no gradient
    are kept longest, and are never mixed with others: they are what one looks for. `frozen` parameters were meant to
    get none: models of nothing else are apart, too.
    """
    models = dict.fromkeys(node.model for node in graph.nodes if node.model)
    model_of = {node.id: node.model for node in graph.nodes}
    joined = {model_of.get(end) for edge in graph.edges for end in (edge.source, edge.target)}
    lonely = [model for model in models if model not in joined]
    if len(lonely) <= MAX_LONELY or not joined:
        lonely = []
    held = [(node.model, node.uid in frozen) for node in graph.nodes if node.kind == "parameter"]
    meant = {model for model, _ in held} - {model for model, is_frozen in held if not is_frozen}
    still = [model for model in lonely if model in meant]
    idle = [model for model in lonely if model not in meant]
    lonely = [model for group in (still, idle) if len(group) > 1 for model in group]
    dead = {node.model for node in graph.nodes if not node.live}
    rest = sorted((model for model in models if model not in lonely), key=lambda name: name not in dead)
    silent = [model for model in rest[MAX_MODELS:] if model in dead]
    well = [model for model in rest[MAX_MODELS:] if model not in dead]
    groups = (
        ([model for model in still if model in lonely], "frozen models"),
        ([model for model in idle if model in lonely], f"models {apart}"),
        (silent, "more models, of which parts get no gradient"),
        (well, "more models"),
    )
    crowds = tuple(Crowd(f"{len(members)} {words}", tuple(members)) for members, words in groups if members)
    home = {member: crowd.name for crowd in crowds for member in crowd.members}
    nodes = tuple(
        replace(node, model=home[node.model], module=node.model) if node.model in home else node for node in graph.nodes
    )
    return (replace(graph, nodes=nodes) if crowds else graph), crowds


def crowd_clusters(crowds: Sequence[Crowd], picture: Picture, first: int) -> Iterable[Cluster]:
    """The titles of crowds; grey where nothing in them gets a gradient. `first` is the number of the first colour."""
    for index, crowd in enumerate(crowds, first):
        live = any(box.flow is Flow.LIVE for box in picture.boxes if box.model == crowd.name)
        yield Cluster(crowd.name, "", "", model_colour(index), Look.LIVE if live else Look.DEAD)


def shown(clusters: Iterable[Cluster], crowds: Collection[Crowd]) -> list[Cluster]:
    """Those that are not in a crowd."""
    gone = {member for crowd in crowds for member in crowd.members}
    return [cluster for cluster in clusters if cluster.name not in gone]
