"""Put every node of the traced graph into a box: its module down to a depth, or a piece of glue code.

* A module's box holds all that ran in it and below. Siblings of one shape share a box (see `repeats`).
* Operations that ran directly in a module which is itself drawn in parts, or in no model, are glue. Glue joins the
  box its values come from if that is one of its own kind, else it is known by the set of boxes it takes from.
  So the thousandth turn of a loop lands in the same box as the first. In a repeated block only what comes from
  the same block counts, so that the first and the last block are like the rest.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable, Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum

from gradscope.records import Location, Node
from gradscope.render.known import Known, Worth, worth_of
from gradscope.render.repeats import Fqn, Place, Turn
from gradscope.render.shapes import Key, find_repeats
from gradscope.render.stream import Flow, Stream
from gradscope.render.within import users_of_parts, whole_calls

MAX_NAMES = 4


class Kind(StrEnum):
    """What a box stands for."""

    MODULE = "module"
    GLUE = "glue"
    INPUT = "input"
    LOSS = "loss"


@dataclass(slots=True)
class Draft:
    """A box while it is being filled."""

    kind: Kind
    model: str
    path: Fqn
    flow: Flow
    sources: frozenset[int] = frozenset()
    leads: int = 0
    """Of glue between models: which losses and models it leads to, one bit each. Two losses do not share their glue,
    nor does a loss what a model takes."""
    repeats: int = 1
    nodes: int = 0
    parameters: int = 0
    silent: int = 0
    idle: int = 0
    frozen: int = 0
    worth: Worth = Worth.SOUND
    some: dict[Worth, int] = field(default_factory=dict)
    borrows: bool = False
    """It computes with parameters."""
    calls: dict[str, int] = field(default_factory=dict)
    """Of a box that is one module, or several of one shape: how often each was called."""
    names: dict[str, None] = field(default_factory=dict)
    own: dict[str, None] = field(default_factory=dict)
    """Parameters of a module that is drawn in parts: they belong to none of these."""
    members: dict[str, None] = field(default_factory=dict)
    """Of several models drawn as one: those that are in the box."""
    classes: dict[str, None] = field(default_factory=dict)
    sizes: dict[Fqn, float] = field(default_factory=dict)
    norms: dict[Fqn, float] = field(default_factory=dict)
    location: Location | None = None
    inside: dict[Fqn, None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sorting:
    """Which box each node is in, and which turn of its repeated block it belongs to."""

    boxes: list[Draft]
    box: list[int]
    turn: list[Turn]


def sort_nodes(stream: Stream, depth: int, known: Known, most: int, opened: Collection[Key] = ()) -> Sorting | None:
    """Fold to `depth` levels of fqn, one more in `opened`; None if that takes more than `most` boxes."""
    return _Sorter(stream, depth, known, most, opened).sort()


def sort_coarsely(stream: Stream, known: Known) -> Sorting:
    """Each model is one box per flow, and so is its glue; losses and inputs may be many."""
    sorting = _Sorter(stream, 0, replace(known, classes={}), None).sort()
    assert sorting is not None
    return sorting


class _Sorter:
    def __init__(
        self, stream: Stream, depth: int, known: Known, most: int | None, opened: Collection[Key] = ()
    ) -> None:
        """`most` boxes before giving up; None is coarse: no limit, and glue is one box per model and flow."""
        self.stream, self.facts, self.most = stream, known, most
        users = users_of_parts(stream)
        users |= {(n.model, n.module): "" for n in stream.nodes if n.model in known.crowds}
        modules = [(n.model, users.get((n.model, n.module), n.module)) for n in stream.nodes]
        self.paths = [_path(model, name, depth, opened) for model, name in modules]
        self.keys = [(node.model, path) for node, path in zip(stream.nodes, self.paths, strict=True)]
        self.inner = {(model, path[:i]) for model, path in set(self.keys) for i in range(len(path))}
        self.cut_ends = {end for source, target, edge in stream.edges if edge.cut for end in (source, target)}
        self.borrowers = {target for source, target, _ in stream.edges if stream.nodes[source].kind == "parameter"}
        self.known: dict[Hashable, int] = {}
        self.result = Sorting([], [-1] * len(stream.nodes), [()] * len(stream.nodes))
        self.flow = self._module_flows()
        self.worth = self._module_worth()
        drawn = [key if key[0] and key not in self.inner else None for key in self.keys]
        self.places = find_repeats(stream, drawn, self.flow, self.worth, known)

    def sort(self) -> Sorting | None:
        late = []
        for position in self.stream.order:
            if self.most is not None and len(self.result.boxes) > self.most:
                return None
            node = self.stream.nodes[position]
            if self._is_idle(position):
                continue
            if node.kind == "input" or (node.kind == "parameter" and not node.model):
                late.append(position)
            elif node.kind == "loss":
                self._join(position, ("loss", node.location, node.label), Draft(Kind.LOSS, "", (), self.flow[position]))
            elif self._is_glue(position):
                self._join_glue(position)
            else:
                self._join_module(position)
        for position in late:
            self._join_input(position)
        return self.result if self.most is None or len(self.result.boxes) <= self.most else None

    def _is_idle(self, position: int) -> bool:
        """A container that is only there for its class: nothing flows in or out."""
        node = self.stream.nodes[position]
        lonely = not self.stream.before[position] and not self.stream.after[position] and position not in self.cut_ends
        return lonely and node.kind == "module" and self.keys[position] in self.inner

    def _is_glue(self, position: int) -> bool:
        node = self.stream.nodes[position]
        return not node.model or (node.kind != "parameter" and self.keys[position] in self.inner)

    def _module_flows(self) -> list[Flow]:
        """A parameter takes part in the flow of its module, so that one frozen weight does not split the box."""
        acting: dict[Hashable, set[Flow]] = {}
        for position, node in enumerate(self.stream.nodes):
            if node.kind != "parameter":
                acting.setdefault(self.keys[position], set()).add(self.stream.flow[position])
        flows = list(self.stream.flow)
        for position, flow in whole_calls(self.stream, flows, self.keys, self.inner).items():
            flows[position] = flow
        for position, node in enumerate(self.stream.nodes):
            if node.kind == "parameter" and self.keys[position] not in self.inner:
                seen = acting.get(self.keys[position], set())
                if seen and flows[position] not in seen:
                    flows[position] = Flow.LIVE if Flow.LIVE in seen else Flow.DEAD
        return flows

    def _module_worth(self) -> dict[Key, Worth]:
        """What the gradients of a module are worth together: zero or tiny only if all are, NaN if any is."""
        found: dict[Key, set[Worth]] = {}
        for position, node in enumerate(self.stream.nodes):
            if node.kind == "parameter" and node.live:
                found.setdefault(self.keys[position], set()).add(self._worth_of(node))
        return {key: joint(kinds) for key, kinds in found.items()}

    def _worth_of(self, node: Node) -> Worth:
        seen = worth_of(node.norm)
        return seen if seen is not Worth.SOUND or node.uid is None else self.facts.told.get(node.uid, seen)

    def _place(self, position: int) -> Place:
        model, path = self.keys[position]
        return self.places[model].place(path) if model in self.places else Place(path)

    def _join_module(self, position: int) -> None:
        model, path = self.keys[position]
        place = self._place(position)
        key = ("module", model, place.path, self.flow[position])
        worth = self.worth.get((model, path), Worth.SOUND)
        draft = Draft(Kind.MODULE, model, place.path, self.flow[position], repeats=place.repeats, worth=worth)
        self._join(position, key, draft)
        self.result.turn[position] = place.turn
        box = self.result.boxes[self.result.box[position]]
        if len(box.classes) < MAX_NAMES and (name := self.facts.class_of((model, path))):
            box.classes[name] = None

    def _join_glue(self, position: int) -> None:
        model, place, flow = self.keys[position][0], self._place(position), self.flow[position]
        self.result.turn[position] = place.turn or self._latest_turn(position, model)
        if self.most is None:
            self._join(position, ("glue", model, flow), Draft(Kind.GLUE, model, (), flow))
            return
        leads = 0 if model else self.stream.leads[position]
        before = self.stream.before[position]
        same = [p for p in before if self.result.turn[p][: len(place.turn)] == place.turn]
        sources = frozenset(box for p in same if (box := self.result.box[p]) >= 0)
        given = len(same) < len(before) or any(self.stream.nodes[p].kind == "input" for p in before)
        for source in sorted(sources):
            if self._absorbs(source, sources, model, flow, leads, given):
                self._count(position, source)
                return
        draft = Draft(Kind.GLUE, model, place.path, flow, sources, leads, place.repeats)
        fork = self._forks(position)
        key = ("fork", fork, flow, leads) if fork else ("glue", model, place.path, sources, flow, leads)
        self._join(position, key, draft)

    def _forks(self, position: int) -> Location | None:
        """The line of glue that takes from glue which leads elsewhere, too: all of it is one box.

        That makes no ring, as nothing that it takes from comes after it.
        """
        node, here = self.stream.nodes[position], self.stream.leads[position]
        before = [(self.stream.nodes[p], self.stream.leads[p]) for p in self.stream.before[position]]
        after = any(leads == here or here & self.stream.bits.get(giver.model, 0) for giver, leads in before)
        glue = any(not giver.model and giver.kind == "op" for giver, _ in before)
        return node.location if glue and not node.model and not after else None

    def _latest_turn(self, position: int, model: str) -> Turn:
        """Of glue between the blocks of a run: it belongs to the last block that it takes from."""
        before = self.stream.before[position]
        turns = [self.result.turn[p] for p in before if self.keys[p][0] == model and self.result.turn[p]]
        first = {turn[0][0] for turn in turns}
        return max(turns)[:1] if len(first) == 1 else ()

    def _absorbs(self, box: int, sources: frozenset[int], model: str, flow: Flow, leads: int, given: bool) -> bool:
        """Whether glue that takes from `sources`, and if `given` from outside of its block, is in one of them."""
        draft = self.result.boxes[box]
        if draft.model != model or draft.flow is not flow or draft.kind not in (Kind.GLUE, Kind.MODULE):
            return False
        if draft.kind is Kind.GLUE and draft.leads == leads:
            return sources <= draft.sources | {box}
        return draft.kind is Kind.MODULE and len(sources) == 1 and not given

    def _join_input(self, position: int) -> None:
        node = self.stream.nodes[position]
        taken = frozenset(self.result.box[p] for p in self.stream.after[position])
        self._join(position, ("input", node.model, taken), Draft(Kind.INPUT, node.model, (), self.flow[position]))

    def _join(self, position: int, key: Hashable, draft: Draft) -> None:
        if key not in self.known:
            self.known[key] = len(self.result.boxes)
            self.result.boxes.append(draft)
        self.result.boxes[self.known[key]].inside[self.paths[position]] = None
        self._count(position, self.known[key])

    def _count(self, position: int, box: int) -> None:
        node, draft = self.stream.nodes[position], self.result.boxes[box]
        self.result.box[position] = box
        draft.nodes += 1
        draft.borrows |= position in self.borrowers
        if node.model in self.facts.crowds:
            draft.members[node.module] = None
        if len(draft.names) <= MAX_NAMES and (node.kind != "parameter" or self.keys[position] in self.inner):
            draft.names[self.stream.names[position]] = None
        if node.kind == "parameter" and self.keys[position] in self.inner and len(draft.own) <= MAX_NAMES:
            draft.own[self.stream.names[position]] = None
        if draft.location is None and node.location is not None:
            draft.location = node.location
        if node.kind == "module" and node.module == ".".join(self.paths[position]):
            draft.calls[node.module] = draft.calls.get(node.module, 0) + 1
        if node.kind == "parameter":
            draft.parameters += 1
            draft.silent += not node.live
            draft.frozen += not node.live and node.uid in self.facts.frozen
            draft.idle += not node.live and node.uid in self.facts.fed
            if node.live and (worth := self._worth_of(node)) is not Worth.SOUND:
                draft.some[worth] = draft.some.get(worth, 0) + 1
            if node.norm is not None:
                path = (node.module,) if draft.members else self.paths[position]
                draft.sizes[path] = math.hypot(draft.sizes.get(path, 0.0), node.norm)
        elif node.kind == "module" and node.norm is not None:
            draft.norms[self.paths[position]] = node.norm


def joint(kinds: Iterable[Worth]) -> Worth:
    """What several gradients are worth together."""
    seen = set(kinds)
    if Worth.NONFINITE in seen:
        return Worth.NONFINITE
    return seen.pop() if len(seen) == 1 else _MIXED.get(frozenset(seen), Worth.SOUND)


_MIXED = {frozenset({Worth.ZERO, Worth.VANISHING}): Worth.VANISHING}


def _path(model: str, module: str, depth: int, opened: Collection[Key]) -> Fqn:
    whole = tuple(module.split(".")) if module else ()
    path = whole[:depth]
    while len(path) < len(whole) and (model, path) in opened:
        path = whole[: len(path) + 1]
    return path


def norm_range(draft: Draft) -> tuple[float, float] | None:
    """Smallest and largest gradient norm among the blocks of a box: of their parameters, else as recorded."""
    found = sorted(draft.sizes.values() or draft.norms.values())
    return (found[0], found[-1]) if found else None
