"""Optimizers: which there are, what they hold, and where they were built."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import torch

from gradscope.capture.calls import Sources
from gradscope.capture.optimizer_lines import Lines, Subject, lines_of
from gradscope.capture.parameters import Registry
from gradscope.capture.source import EMPTY, Stack, resolve
from gradscope.capture.variables import imported_files, reachable, user_frames, variables_of
from gradscope.records import Group, Optimizer, Path


@dataclass(slots=True, eq=False)
class Known:
    """One optimizer while it lives. Weak: watching must not keep its state alive."""

    ref: weakref.ref[Any]
    class_name: str
    name: str = ""
    built: Stack = EMPTY
    added: list[Stack] = field(default_factory=list)
    groups: tuple[Group, ...] = ()
    uids: tuple[int, ...] = ()
    held: frozenset[int] = frozenset()
    """The same as a set."""
    ids: list[list[int]] = field(default_factory=list)
    """Per group: the ids of its tensors, by which a change is noticed."""
    lrs: tuple[float | None, ...] = ()
    """Per group: its rate, as a number."""
    rates: list[tuple[Any, Any]] = field(default_factory=list)
    """Per group: its rate now and at first, by which a change of these is noticed."""
    entries: int = 0
    """How many parameters there were when its groups were read: a new one may have the id of one that is gone."""
    past: frozenset[int] = frozenset()
    """Parameters that it stepped, and that were taken out of its groups."""
    frozen: frozenset[int] = frozenset()
    """Parameters that were known to be frozen when it was built."""
    joined: list[int] = field(default_factory=list)
    """Groups that were added after it had stepped."""
    eps: float | None = None
    steps: int = 0
    scheduled: bool = False
    schedulers: list[str] = field(default_factory=list)
    """Names of the schedulers that set its learning rate."""
    holders: dict[tuple[str, int, str], None] = field(default_factory=dict)
    """Variables of running functions that held it."""


def steps_inside(inner: Known, opened: Iterable[Known]) -> bool:
    """Whether an optimizer steps inside the step of another that holds the same: Lookahead, a sharded optimizer.

    One whose step raised was opened and never closed, so that it has to be among the running frames.
    """
    around = [other.ref() for other in opened if other is not inner and set(inner.uids) <= set(other.uids)]
    around = [optimizer for optimizer in around if optimizer is not None]
    frame = sys._getframe(1) if around else None
    while frame is not None:
        if frame.f_code.co_name == "step" and any(frame.f_locals.get("self") is each for each in around):
            return True
        frame = frame.f_back
    return False


class OptimizerBook:
    """All optimizers that were seen, by number."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.known: list[Known] = []
        self.files: dict[str, None] = {}
        """The user's files that were running when something happened."""
        self._ids: dict[int, int] = {}
        self._strangers: dict[int, weakref.ref[Any]] = {}
        """Optimizers that held nothing watched when they first stepped."""

    def uid(self, optimizer: Any) -> int:
        number = self._ids.get(id(optimizer), -1)
        return number if number >= 0 and self.known[number].ref() is optimizer else -1

    def first_step(self, optimizer: Any) -> bool:
        """Whether an optimizer that is about to step has not done so before; of a stranger it is said once."""
        number = self.uid(optimizer)
        if number >= 0:
            return not self.known[number].steps
        known = self._strangers.get(id(optimizer))
        if known is not None and known() is optimizer:
            return False
        self._strangers[id(optimizer)] = weakref.ref(optimizer)
        return True

    def built(self, optimizer: Any, stack: Stack) -> None:
        """A parameter is being handed to an optimizer."""
        number = self.uid(optimizer)
        if number < 0:
            number = self._add(optimizer)
        known = self.known[number]
        if not known.built.frames:
            known.built = stack
            known.frozen = frozenset(u for u, entry in self.registry.entries.items() if not entry.trainable)
        group = len(getattr(optimizer, "param_groups", ()))
        while len(known.added) <= group:
            known.added.append(EMPTY)
        known.added[group] = stack

    def see(self, optimizer: Any, stack: Stack, *, only_known: bool) -> int:
        """Read what an optimizer holds; returns its number, or -1 if it holds nothing that is watched."""
        number = self.uid(optimizer)
        if number < 0:
            params = [p for group in optimizer.param_groups for p in group["params"]]
            if only_known and not any(self.registry.uid(p) >= 0 for p in params):
                return -1
            number = self._add(optimizer)
        known = self.known[number]
        groups = optimizer.param_groups
        ids = [list(map(id, group["params"])) for group in groups]
        entries = len(self.registry.entries)
        if ids != known.ids or entries != known.entries or [*map(_raw_rates, groups)] != known.rates:
            self.read(number)
        return number

    def read(self, number: int) -> None:
        """Read the groups of an optimizer again, if they are not what they were."""
        known = self.known[number]
        optimizer = known.ref()
        if optimizer is None or not hasattr(optimizer, "param_groups"):
            return
        ids = [list(map(id, group["params"])) for group in optimizer.param_groups]
        if ids == known.ids and known.entries == len(self.registry.entries):
            known.groups = tuple(
                Group(old.parameters, *_rates(group))
                for old, group in zip(known.groups, optimizer.param_groups, strict=True)
            )
        else:
            self._read_groups(known, optimizer)
            known.ids, known.entries = ids, len(self.registry.entries)
        known.lrs = tuple(group.lr for group in known.groups)
        rates = [*map(_raw_rates, optimizer.param_groups)]
        # A tensor is written to, and would have to be waited for: it is never said to be the rate that it was.
        known.rates = [] if any(isinstance(rate, torch.Tensor) for pair in rates for rate in pair) else rates
        # LRScheduler writes the rate it started from into every group.
        known.scheduled = known.scheduled or any("initial_lr" in group for group in optimizer.param_groups)
        eps = optimizer.defaults.get("eps") if isinstance(optimizer.defaults, dict) else None
        known.eps = float(eps) if isinstance(eps, (int, float)) else None

    def _read_groups(self, known: Known, optimizer: Any) -> None:
        groups = tuple(self._group(group) for group in optimizer.param_groups)
        uids = tuple(uid for group in groups for uid in group.parameters)
        if known.steps:
            known.joined.extend(range(len(known.groups), len(groups)))
            known.past = (known.past | frozenset(known.uids)) - frozenset(uids)
        known.groups = groups
        if uids != known.uids:
            known.uids, known.held = uids, frozenset(uids)

    def _group(self, group: dict[str, Any]) -> Group:
        return Group(tuple(map(self.registry.hold, group["params"])), *_rates(group))

    def _add(self, optimizer: Any) -> int:
        self.known.append(Known(weakref.ref(optimizer), type(optimizer).__name__))
        self._ids[id(optimizer)] = len(self.known) - 1
        return len(self.known) - 1

    def uids(self, number: int) -> tuple[int, ...]:
        return self.known[number].uids

    def stepped(self, number: int) -> None:
        self.known[number].steps += 1

    def others_hold(self, uids: Collection[int], stepped: Collection[int]) -> bool:
        """Whether these parameters are in none of the optimizers that stepped, and in one that steps as often."""
        if len(stepped) == len(self.known):
            return False
        reached = frozenset(uids)
        if not reached or any(not reached.isdisjoint(self.known[number].held) for number in stepped):
            return False
        often = max(self.known[number].steps for number in stepped)
        for number, known in enumerate(self.known):
            if number not in stepped and known.steps + 1 >= often and known.ref() is not None:
                if not known.groups:
                    self.read(number)
                if not reached.isdisjoint(known.held):
                    return True
        return False

    def find(self, frame: FrameType | None, *, only_known: bool = True) -> None:
        """Look for optimizers in the variables of running frames."""
        for _, value in reachable(frame):
            if isinstance(value, torch.optim.Optimizer) and self.uid(value) < 0:
                self.see(value, EMPTY, only_known=only_known)

    def look_around(self, frame: FrameType | None) -> None:
        """Read the names of optimizers and schedulers from the variables of running frames."""
        for name, value in reachable(frame):
            if isinstance(value, torch.optim.Optimizer):
                number = self.uid(value)
                if number < 0:
                    number = self.see(value, EMPTY, only_known=True)
                if number >= 0 and not self.known[number].name:
                    self.known[number].name = name
            elif isinstance(value, torch.optim.lr_scheduler.LRScheduler):
                number = self.uid(getattr(value, "optimizer", None))
                if number >= 0 and name not in self.known[number].schedulers:
                    self.known[number].schedulers.append(name)
        for user in user_frames(frame):
            code = user.f_code
            first = code.co_firstlineno if code.co_name != "<module>" else 0
            for name, value in variables_of(user).items():
                if isinstance(value, torch.optim.Optimizer) and (number := self.uid(value)) >= 0:
                    self.known[number].holders[code.co_filename, first, name] = None

    def records(self) -> tuple[Optimizer, ...]:
        """The facts about all optimizers, and about lines of theirs that no hook saw."""
        files = dict(self.files)
        for known in self.known:
            files |= dict.fromkeys(code.co_filename for code, _ in known.built.frames)
        sources = Sources(imported_files(files))
        return tuple(self._record(number, known, sources) for number, known in enumerate(self.known))

    def _record(self, number: int, known: Known, sources: Sources) -> Optimizer:
        self.read(number)
        empty = any(not group.parameters for group in known.groups)
        names = tuple(known.schedulers)
        built, count = resolve(known.built), len(known.groups)
        subject = Subject(known.class_name, known.name, names, built, count, empty, tuple(known.holders))
        lines = lines_of(subject, sources)
        return Optimizer(
            uid=number,
            name=known.name,
            class_name=known.class_name,
            groups=known.groups,
            built=lines.built,
            added=self._added(known, lines),
            frozen=known.frozen,
            past=known.past,
            joined=tuple(known.joined),
            eps=known.eps,
            steps=known.steps,
            exhausted=lines.exhausted,
            step_line=lines.step,
            guard_line=lines.guard,
            scheduled=known.scheduled,
            scheduler_line=lines.scheduler,
            scheduler_built=lines.scheduler_built,
        )

    def _added(self, known: Known, lines: Lines) -> tuple[Path, ...]:
        """Per group the line that handed it over: the last groups by the calls of add_param_group there are."""
        if lines.groups and set(known.added) <= {known.built}:
            return lines.groups
        if known.added:
            return tuple(resolve(stack) for stack in known.added)
        first = len(known.groups) - len(lines.added)
        return (lines.built,) * first + lines.added if lines.added and first > 0 else ()


def _raw_rates(group: Mapping[str, Any]) -> tuple[Any, Any]:
    """What the rate is and, with a scheduler, what it was at first."""
    return group.get("lr"), group.get("initial_lr")


def _rates(group: Mapping[str, Any]) -> tuple[float | None, ...]:
    return tuple(float(rate) if rate is not None else None for rate in _raw_rates(group))
