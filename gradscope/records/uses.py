"""Where parameters are computed with, as the picture of a traced step has it."""

from __future__ import annotations

from gradscope.records import Location, Run


def uses(run: Run) -> dict[int, Location]:
    """Per parameter that one line alone computes with, that line."""
    if run.graph is None:
        return {}
    places = {node.id: node.location for node in run.graph.nodes}
    uids = {node.id: node.uid for node in run.graph.nodes if node.uid is not None}
    lines: dict[int, set[Location]] = {}
    for edge in run.graph.edges:
        place = places[edge.target]
        if edge.source in uids and place is not None:
            lines.setdefault(uids[edge.source], set()).add(place)
    return {uid: found.pop() for uid, found in lines.items() if len(found) == 1}
