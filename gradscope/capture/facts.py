"""From a capture to facts: everything that was seen, as one Run."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch

from gradscope import _version
from gradscope.capture.bound_late import bound_late
from gradscope.capture.buffers import note_buffers
from gradscope.capture.cuts import CutFinder
from gradscope.capture.declarations import declarations
from gradscope.capture.discovery import name_orphans
from gradscope.capture.elsewhere import elsewhere
from gradscope.capture.evaluated import evaluated
from gradscope.capture.graph import build_graph
from gradscope.capture.instances import instances
from gradscope.capture.memory import bytes_of
from gradscope.capture.since import find_since, find_sometimes
from gradscope.capture.unfollowed import PIPELINE
from gradscope.records import Backward, Cut, Graph, OptimizerStep, Run
from gradscope.records.barren import barren
from gradscope.records.cost import Cost
from gradscope.records.zeros import zeros_left

if TYPE_CHECKING:
    from gradscope.capture.capture import Capture

_SCRIPTED = "what TorchScript modules do inside: no line in them can be told"
LOST = 5
"""Steps without a gradient from which its line is looked for."""


def facts_of(capture: Capture, script: str) -> Run:
    """All facts but those that the tape gives."""
    capture.watcher.catch_up()
    early = set(capture.watcher.early)
    if capture.is_open:
        capture.take_histograms()
        fresh = capture.watcher.read_again()
        if not capture.watcher.log.backwards:  # all that was hooked may have been replaced
            early.update(fresh)
    optimizers = capture.watcher.book.records()
    entries = capture.registry.entries.values()
    if capture.discover and any(not e.owners and e.ref() is not None for e in entries):
        capture.registry.refresh()
        name_orphans(capture.registry)
    models, parameters = capture.registry.records()
    log = capture.watcher.log
    ranks = capture.watcher.ranks
    rank, processes = ranks.world()
    said = capture.watcher.budget.note(capture.watcher.meter.every), _early(capture, early), *ranks.unfollowed()
    return Run(
        torch=torch.__version__,
        gradscope=_version.__version__,
        script=script,
        steps=log.steps,
        backwards=log.backwards,
        models=models,
        parameters=parameters,
        optimizers=optimizers,
        events=log.events(),
        between=log.between(),
        lines=log.lines(),
        arrivals=log.arrivals(),
        tallies=log.tallies(),
        origins=capture.origins.records(),
        notes=(
            *capture.notes,
            *capture.watcher.failures,
            *filter(None, said),
        ),
        histograms=capture.histograms.records(),
        rank=rank,
        world=processes,
        averaged=ranks.averaged(),
        stage=PIPELINE in said,
        declarations=declarations(),
        marked=capture.watcher.loop.whole,
        cost=Cost(capture.watcher.budget.total, bytes_of(log, capture.registry, capture.watcher.gradients)),
        parts={u: (n, ranks.zeros.get(u, 0)) for u in parameters if (n := ranks.parts(u)) != 1},
    )


def _early(capture: Capture, uids: set[int]) -> str:
    """Whose first gradient no hook saw: no pass is made up for it."""
    entries = capture.registry.entries
    names = dict.fromkeys(o.model for uid in sorted(uids) for o in entries[uid].owners)
    if not names:
        return ""
    return (
        f"new parameters of {', '.join(names)} in passes before they were found: these came or were replaced after "
        "watching began, and are found when an optimizer steps, a step is marked, or a report is made"
    )


def glance(capture: Capture) -> Run:
    """What was counted so far, as it is: nothing is fetched, closed or looked for."""
    log, ranks = capture.watcher.log, capture.watcher.ranks
    models, parameters = capture.registry.records()
    rank, processes = ranks.world()
    return Run(
        steps=log.steps,
        backwards=log.backwards,
        models=models,
        parameters=parameters,
        events=log.events(),
        between=log.between(),
        lines=log.lines(),
        tallies=log.tallies(),
        rank=rank,
        world=processes,
    )


def with_cuts(capture: Capture, run: Run) -> Run:
    """Add what the tape tells: cuts, what was never used, the picture."""
    if capture.tape is None:
        return run
    finder = CutFinder(capture.tape)
    left = zeros_left(run)
    missing = [u for u in run.parameters if u in left or not (t := run.tallies.get(u)) or not t.backwards]
    held = {u for o in run.optimizers for u in o.parameters}
    unseen = capture.calls.elsewhere()
    unseen -= capture.tape.live() if unseen else unseen
    silent = [u for u in missing if not run.optimizers or u in held or run.parameters[u].frozen_at]
    scripted = capture.registry.scripted()
    unused = frozenset(run.parameters) - capture.tape.read() - unseen - scripted
    loose = frozenset(u for u, t in run.tallies.items() if t.backwards and u not in held)
    instead = instances(finder, run, (u for u in silent if u in held))
    called = frozenset(u for cut in instead for u in cut.parameters)
    over = lost(run, dead=finder.ends_dead)
    sometimes = find_sometimes(finder, run, [u for u in intermittent(run) if u not in over])
    cuts = [_named(cut, run) for cut in finder.find(set(silent) - unseen - called)]
    unread = set(silent).intersection(held) - unseen - called - unused
    unread = unread.difference(*(cut.parameters for cut in cuts))
    away = elsewhere(capture.calls, unseen.intersection(silent))
    late = bound_late(capture.tape, run, unused, unused.intersection(silent).intersection(held) - called)
    run = dataclasses.replace(
        run,
        cuts=(*instead, *late, *cuts, *evaluated(finder, run, unread), *away, *find_since(finder, over), *sometimes),
        never_used=unused,
        unseen=unseen,
        traced=capture.traced(run.steps),
        built=capture.registry.built_lines(unused | loose),
        notes=(*run.notes, *([_SCRIPTED] if not scripted.isdisjoint(silent) else [])),
    )
    return dataclasses.replace(run, graph=drawn(capture, run, finder))


def _named(cut: Cut, run: Run) -> Cut:
    """The cut without what was copied into and has no name: it is gone."""
    return dataclasses.replace(
        cut, into=frozenset(u for u in cut.into if (p := run.parameters.get(u)) and (p.owners or p.former))
    )


def intermittent(run: Run) -> list[int]:
    """Parameters that their optimizers found with a gradient at some steps, and again and again without one."""
    return [u for u, t in run.tallies.items() if 2 <= t.steps_none < t.steps and run.parameters[u].trainable]


def lost(run: Run, *, dead: bool = False) -> dict[int, int]:
    """Parameters that got gradients and whose optimizers find none any more, or old zeros: the last pass of each.

    Also those that the last loss is connected to no more, if it has no graph at all.
    """
    over = barren(run) if dead else set[int]()
    last = {
        uid: t.last_backward
        for uid, t in run.tallies.items()
        if t.last_backward is not None
        and t.none_streak < t.steps
        and (uid in over or max(t.none_streak, run.backwards - 1 - t.last_backward) >= LOST)
        and run.parameters[uid].trainable
    }
    stepped = _stepped_since(run, last)
    return {uid: index for uid, index in last.items() if uid in over or stepped.get(uid, LOST) >= LOST}


def _stepped_since(run: Run, uids: Iterable[int]) -> dict[int, int]:
    """How often the optimizers of these stepped after the last pass that reached each, where that pass was kept."""
    holders: dict[int, set[int]] = {uid: set() for uid in uids}
    for optimizer in run.optimizers:
        for uid in holders.keys() & set(optimizer.parameters):
            holders[uid].add(optimizer.uid)
    steps: Counter[int] = Counter()
    found: dict[int, int] = {}
    for event in reversed(run.events):
        if isinstance(event, OptimizerStep):
            steps[event.optimizer] += 1
        elif isinstance(event, Backward):
            for uid in holders.keys() & event.norms.keys():
                found[uid] = sum(steps[optimizer] for optimizer in holders.pop(uid))
    return found


def drawn(capture: Capture, run: Run, finder: CutFinder) -> Graph | None:
    """The picture of one traced step."""
    try:
        capture.places.read(capture.calls.modules, capture.registry)
        note_buffers(finder.tape, capture.calls.modules)
        return build_graph(finder, run, capture.places.known, capture.sizes.known, capture.origins.drawn())
    except Exception as error:  # noqa: BLE001 - a report without its picture is still a report
        capture.failed("graph", error)
        return None
