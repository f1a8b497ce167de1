"""The graph of one traced turn of the loop: what is drawn.

* A call of a module without modules below it is one node; what runs between such calls is drawn operation by operation.
* Data that depends on no parameter is drawn where it enters, as one node per source; buffers are part of a module.
* Models that got nothing are there too: with their way to the cut, where their values went on, or alone.
* Values stand on the tape in the order they were made, so nodes made in that order are numbered forwards, and a node
  that gathers neighbours on the tape never makes a cycle.
* Past `CROWDED` nodes, one that is like an earlier one (same module or operation, same flow) joins it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from gradscope.capture import nodes
from gradscope.capture.came import Came
from gradscope.capture.cuts import CutFinder
from gradscope.capture.kinds import Traced, beneficiaries
from gradscope.capture.lanes import Lanes, enters, hidden, parents_of, quieten, read_lanes
from gradscope.capture.nodes import CONSTANT, CutLine, Draft, Line, Springs
from gradscope.capture.origins import Found
from gradscope.capture.places import Place
from gradscope.capture.sites import UNUSED, Site, Sites, find_sites
from gradscope.capture.turns import Measured, Turn, choose_turn, news
from gradscope.records import Edge, Graph, Run

EARLIER, BEFORE = "from an earlier pass", "from before this step"
MAX_NODES = 20_000
CROWDED = 12_000
MAX_PARAMETERS = 5_000


def build_graph(
    finder: CutFinder,
    run: Run,
    places: Mapping[int, Place],
    measured: Mapping[int, Measured],
    origins: Iterable[Found] = (),
) -> Graph | None:
    """The graph of the turn that shows the loop best; None if no backward was traced."""
    tape = finder.tape
    turn = choose_turn(tape, run, measured, news(run))
    if turn is None:
        return None
    fed = {uid for uid, tally in run.tallies.items() if tally.backwards}
    silent = frozenset(run.parameters.keys() - fed)
    found = tuple(origins)
    sites = find_sites(finder, run, turn, found)
    lanes = read_lanes(tape, turn, silent, sites)
    wider = turn.back_to({lanes.time[i] for i in range(len(tape.values)) if lanes.before[i] and lanes.learned[i]})
    if wider is not turn:
        turn, sites = wider, find_sites(finder, run, wider, found)
        lanes = read_lanes(tape, turn, silent, sites)
    came = Came.of(tape, sites, turn, measured)
    quieten(tape, lanes, came.silent_ops)
    return _Builder(finder, run, turn, lanes, sites, places, came).build()


@dataclass(eq=False)
class _Builder:
    finder: CutFinder
    run: Run
    turn: Turn
    lanes: Lanes
    sites: Sites
    places: Mapping[int, Place]
    came: Came
    drafts: list[Draft] = field(default_factory=list)
    edges: dict[tuple[int, int], Line] = field(default_factory=dict)
    cuts: dict[tuple[int, int], CutLine] = field(default_factory=dict)
    truncated: int = 0

    def __post_init__(self) -> None:
        self.tape = self.finder.tape
        self._of_op: dict[int, int] = {}
        self._of_parameter: dict[int, int] = {}
        self._of_source: dict[int, int] = {}
        self._alike: dict[tuple[str, str, str, str, bool], int] = {}
        self._springs = Springs(self.tape)
        self._entries: dict[tuple[int, int], CutLine] = {}
        self._exits: dict[tuple[int, int], bool] = {}
        self._losses: list[tuple[int, int]] = []
        self._whose = beneficiaries(self.turn.passes, [model.name for model in self.run.models])
        self._last: tuple[int, bool, int] = (-1, False, -1)  # call of a module, whether live, node
        self._live_ops = {
            value.op
            for i, value in enumerate(self.tape.values)
            if self.lanes.kept[i] and self.lanes.live[i] and value.param < 0
        }

    def build(self) -> Graph:
        """Nodes and edges in forward order."""
        waiting = list(reversed(self.turn.passes))
        for i in range(len(self.tape.values)):
            if not self.lanes.kept[i]:
                continue
            while waiting and waiting[-1].begun <= self.lanes.time[i]:
                self._add_loss(waiting.pop())
            if self.lanes.learned[i]:
                self._add_value(i)
        while waiting:
            self._add_loss(waiting.pop())
        self._move_cuts()
        self._add_returns()
        self._add_ends()
        self._add_idle()
        return self._freeze()

    # --- values ----------------------------------------------------------------------------------------------

    def _add_value(self, i: int) -> None:
        value = self.tape.values[i]
        parents = list(parents_of(self.tape, self.sites, i))
        if value.param >= 0 and not parents:
            return
        sources = [(p, live, self._node_of(p)) for p, live in parents]
        me = self._node_of(i)
        for parent, live, source in sources:
            alive = bool(self.lanes.live[i]) and (live or hidden(self.tape, self.lanes, i, parent))
            site = self.came.cut(value.op, parent)
            spoilt = self.came.spoilt(value.op, parent) if alive else None
            alive = alive and not self.came.is_silent(parent)
            if source < 0 or me < 0 or source == me:
                continue
            if site is not None and not live and self.lanes.carry[parent] and site.cause != UNUSED:
                self._cut(i, parent, (source, me), site)
            elif self.lanes.shadow[parent] and not self.lanes.shadow[i]:
                self._exits[source, me] = self.tape.required(i, parent)
                self._connect(source, me, live=alive)
            elif spoilt is not None:
                self.cuts.setdefault(
                    (source, me), CutLine(spoilt, self.tape.required(i, parent), self.came.norm(parent))
                )
            else:
                share, total = self.came.share(value.op, parent), self.came.norm(parent)
                self._connect(source, me, live=alive, norm=share, total=total)

    def _cut(self, i: int, parent: int, ends: tuple[int, int], site: Site) -> None:
        """A cut; where a whole model runs with gradients off, it shows where the values get out."""
        cut = CutLine(site, self.tape.required(i, parent))
        if self.lanes.shadow[i] and enters(self.tape, self.lanes, parent):
            self._entries[ends] = cut
        else:
            self.cuts.setdefault(ends, cut)

    def _move_cuts(self) -> None:
        for ends, cut in self._entries.items():
            if not self._exits:
                self.cuts.setdefault(ends, cut)
            else:
                self._connect(*ends, live=False)
        for ends, requires in self._exits.items() if self._entries else ():
            if not self.edges[ends].live:
                del self.edges[ends]
                self.cuts.setdefault(ends, CutLine(next(iter(self._entries.values())).site, requires))

    def _connect(
        self, source: int, target: int, *, live: bool, norm: float | None = None, total: float | None = None
    ) -> None:
        line = self.edges.setdefault((source, target), Line())
        if live:
            line.came(norm, total)

    def _node_of(self, i: int) -> int:
        """The node a value belongs to, made if need be; -1 for what is not drawn."""
        value = self.tape.values[i]
        if value.param >= 0:
            return self._parameter(value.param)
        if self.lanes.before[i] and self.lanes.learned[i]:
            return self._input(("before", i), EARLIER if self.lanes.time[i] >= self.turn.step_start else BEFORE)
        if not self.lanes.learned[i]:
            return self._data(i)
        if not self.lanes.kept[i]:
            return -1
        return self._operation(i)

    def _operation(self, i: int) -> int:
        value = self.tape.values[i]
        key = value.op if value.op >= 0 else -2 - i
        if key in self._of_op:
            return self._of_op[key]
        live = value.op in self._live_ops if value.op >= 0 else bool(self.lanes.live[i])
        op = self.tape.ops[value.op] if value.op >= 0 else None
        place = self.places.get(op.module) if op is not None else None
        call = op.call if op is not None else -1
        if place is not None and place.leaf and self._last[:2] == (call, live):
            node = self._last[2]
        else:
            node = self._new(nodes.draft_of(op, place, live, self.came.sizes))
        self._last = (call, live, node)
        self._of_op[key] = node
        return node

    def _new(self, draft: Draft) -> int:
        key = (draft.kind, draft.label, draft.model, draft.module, draft.live)
        if len(self.drafts) >= CROWDED:
            known = self._alike.get(key, -1)
            if known < 0 and len(self.drafts) >= MAX_NODES - MAX_PARAMETERS:
                known = len(self.drafts) - 1
            if known >= 0:
                self.truncated += 1
                return known
        self._alike.setdefault(key, len(self.drafts))
        self.drafts.append(draft)
        return len(self.drafts) - 1

    # --- what comes from outside -----------------------------------------------------------------------------

    def _data(self, i: int) -> int:
        if self.tape.values[i].numel == 1:
            return -1
        source = self._springs.of(i)
        if source in self.tape.buffers:
            return -1
        op = self.tape.values[source].op
        name = self.tape.ops[op].name if op >= 0 else "data"
        return -1 if name in CONSTANT else self._input(("data", source), nodes.plain(name))

    def _input(self, key: tuple[str, int], label: str) -> int:
        if key[1] not in self._of_source:
            self._of_source[key[1]] = self._new(Draft("input", label))
        return self._of_source[key[1]]

    def _parameter(self, uid: int) -> int:
        if uid in self._of_parameter:
            return self._of_parameter[uid]
        if len(self._of_parameter) >= MAX_PARAMETERS:
            self.truncated += 1
            self._of_parameter[uid] = -1
            return -1
        parameter = self.run.parameters.get(uid)
        if parameter is None:
            return -1
        self.drafts.append(nodes.draft_of_parameter(parameter, self.came.delivered))
        self._of_parameter[uid] = len(self.drafts) - 1
        return self._of_parameter[uid]

    # --- losses, ends and the rest ---------------------------------------------------------------------------

    def _add_loss(self, each: Traced) -> None:
        event, sources = each.event, [(root.value, self._node_of(root.value)) for root in each.roots]
        whose = self._whose.get(event.index)
        name = nodes.loss_name(event.location) + (f" for {whose}" if whose else "")
        self.drafts.append(Draft("loss", name, live=True, location=event.location))
        me = len(self.drafts) - 1
        self._losses.append((each.begun, me))
        for value, source in sources:
            if source >= 0:
                self._connect(source, me, live=bool(self.lanes.live[value]), norm=self.came.norm(value))

    def _add_returns(self) -> None:
        """Where a value that had left torch was used again."""
        backs = {index: s for index, s in self.sites.at.items() if s.returns is not None and index in self._of_op}
        found = {index: self._taken_back(site.returns) for index, site in backs.items()}
        lines = {site.location for index, site in backs.items() if found[index] >= 0}
        for index, site in backs.items():
            target = found[index]
            if target < 0 and site.location in lines:
                continue  # read once more, for a log
            following = (node for begun, node in self._losses if begun > index)
            target = target if target >= 0 else next(following, -1)
            if target >= 0 and target != self._of_op[index]:
                self._connect(self._of_op[index], target, live=False)

    def _taken_back(self, op: int | None) -> int:
        """The node of an operation that used what had left torch: perhaps it made new data of it."""
        if op is None:
            return -1
        if op in self._of_op or op < 0:
            return self._of_op.get(op, -1)
        sources = (self._of_source.get(self._springs.of(value), -1) for value in self.tape.ops[op].outputs)
        return next((source for source in sources if source >= 0), -1)

    def _add_ends(self) -> None:
        for end in sorted(self.sites.ends & self._of_op.keys()):
            self.drafts.append(Draft("op", "never used"))
            required = any(self.tape.values[made].requires for made in self.tape.ops[end].outputs)
            self.cuts[(self._of_op[end], len(self.drafts) - 1)] = CutLine(self.sites.at[end], required)

    def _add_idle(self) -> None:
        """Parameters that no operation of the turn read."""
        for model in self.run.models:
            for uid in model.parameters:
                self._parameter(uid)

    def _freeze(self) -> Graph:
        edges = [
            Edge(source, target, line.live, line.norm, total=line.total if line.total != line.norm else None)
            for (source, target), line in self.edges.items()
            if source < target or {self.drafts[source].kind, self.drafts[target].kind} & {"parameter", "input"}
        ]
        edges += [cut.edge(*ends) for ends, cut in self.cuts.items()]
        edges.sort(key=lambda edge: (edge.source, edge.target, edge.cut))
        made = tuple(draft.node(number) for number, draft in enumerate(self.drafts))
        first, last = self.turn.steps
        return Graph(made, tuple(edges), last, self.truncated, first if first < last else None)
