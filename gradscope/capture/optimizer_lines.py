"""The lines of an optimizer's life that no hook saw: built before watching began, scheduled, never stepped."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeGuard

from gradscope.capture.calls import Site, Sources, called, key_of, key_of_name
from gradscope.capture.iterators import exhausted
from gradscope.records import Location, Path

_SCHEDULERS = ("lr", "scheduler", "schedule", "plateau", "warmup", "annealing")
"""How the names of what makes a scheduler end, or what they hold, in lower case."""


@dataclass(frozen=True, slots=True)
class Lines:
    """What the source says about one optimizer."""

    built: Path = ()
    added: tuple[Path, ...] = ()
    """Calls of its add_param_group."""
    exhausted: Path = ()
    groups: tuple[Path, ...] = ()
    """Per group where it is written down, if that is not where the optimizer is built."""
    step: Path = ()
    guard: Path = ()
    """The condition that decides whether its step() is reached."""
    scheduler: Path = ()
    """Where its scheduler steps, else what is in `scheduler_built`."""
    scheduler_built: Path = ()


@dataclass(frozen=True, slots=True)
class Subject:
    """What hooks know of an optimizer whose lines are wanted."""

    class_name: str
    name: str = ""
    schedulers: tuple[str, ...] = ()
    built: Path = ()
    groups: int = 0
    empty_group: bool = False
    holders: tuple[tuple[str, int, str], ...] = ()
    """Variables of running functions that held it: file, first line of the function (0: a module), name."""


def lines_of(subject: Subject, sources: Sources) -> Lines:
    """Look for an optimizer in the source."""
    keys = {key_of_name(subject.name)} - {""}
    site = _site_at(sources, subject) if subject.built else _built(sources, subject, keys)
    if not keys and site is not None:
        keys = {key for key in (_assigned(sources, site),) if key}
    aliases = sources.aliases(keys)
    step = _step(sources, aliases, site)
    scheduled, scheduler = _scheduler(sources, aliases, subject.schedulers)
    return Lines(
        built=subject.built or (site.path if site is not None else _assignment(sources, keys)),
        added=tuple(s.path for s in sources.calls("add_param_group") if _receiver(s) in aliases),
        exhausted=exhausted(site, sources, empty=subject.empty_group) if site is not None else (),
        groups=_groups(sources, site, subject.groups),
        step=step.path if step is not None else (),
        guard=step.guard if step is not None else (),
        scheduler=scheduled,
        scheduler_built=scheduler,
    )


def _site_at(sources: Sources, subject: Subject) -> Site | None:
    """The call that built it, on a line that was seen."""
    seen: Location = subject.built[-1]
    for site in sources.calls():
        last = getattr(site.node, "end_lineno", site.line)
        if site.line <= seen.line <= last and site.path[0].file == seen.file and _builds(site, subject.class_name):
            return site
    return None


def _builds(site: Site, class_name: str) -> bool:
    return called(site) == class_name or any(
        isinstance(k.value, ast.Call) and key_of(k.value.func) == class_name for k in getattr(site.node, "keywords", ())
    )


def _built(sources: Sources, subject: Subject, keys: set[str]) -> Site | None:
    """The one call of its class that is assigned to a variable that held it, or to its name; else the one there is."""
    calls = list(sources.calls(subject.class_name))
    for file, first, name in subject.holders:
        inside = [s for s in calls if (s.file, _first_line(s)) == (file, first) and _assigned(sources, s) == name]
        if len(inside) == 1:
            return inside[0]
    named = [site for site in calls if keys and _assigned(sources, site) in keys]
    return named[0] if len(named) == 1 else calls[0] if len(calls) == 1 else None


def _first_line(site: Site) -> int:
    """Where the function begins that a call stands in, as its code says: with its decorators. 0 in no function."""
    function = site.function
    return min(n.lineno for n in (function, *function.decorator_list)) if function is not None else 0


def _assigned(sources: Sources, site: Site) -> str:
    """The key that the result of a call is given."""
    for bind, target, value in sources.binds():
        if bind.file == site.file and any(part is site.node for part in ast.walk(value)):
            if isinstance(value, ast.Dict):
                for key, item in zip(value.keys, value.values, strict=True):
                    if item is site.node and isinstance(key, ast.Constant):
                        return f"{key_of(target)}[{key.value!r}]"
            if isinstance(value, (ast.List, ast.Tuple)) and not isinstance(target, (ast.List, ast.Tuple)):
                return next((f"{key_of(target)}[{n}]" for n, item in enumerate(value.elts) if item is site.node), "")
            if isinstance(value, (ast.List, ast.Tuple)) and isinstance(target, (ast.List, ast.Tuple)):
                pairs = zip(target.elts, value.elts, strict=False)
                return next((key_of(left) for left, item in pairs if item is site.node), "")
            return key_of(target)
    return ""


def _assignment(sources: Sources, keys: set[str]) -> Path:
    """The one line that gives its name the result of a call, for example of a function that builds optimizers."""
    found = [site for site, target, value in sources.binds() if key_of(target) in keys and isinstance(value, ast.Call)]
    return found[0].path if len(found) == 1 else ()


def _receiver(site: Site) -> str:
    function = site.node.func if isinstance(site.node, ast.Call) else None
    return key_of(function.value) if isinstance(function, ast.Attribute) else ""


def _groups(sources: Sources, built: Site | None, count: int) -> tuple[Path, ...]:
    """The dicts of the one function, other than the calls that build it or add to it, that writes down its groups.

    One that stands in a loop makes as many of the groups as the others leave.
    """
    here = set(ast.walk(built.node)) if built is not None else set()
    here.update(node for site in sources.calls("add_param_group") for node in ast.walk(site.node))  # of whichever
    found = sorted((site for site in sources.groups() if site.node not in here), key=lambda site: site.line)
    if len({site.function for site in found}) != 1:
        return ()
    looped = [number for number, site in enumerate(found) if _in_loop(site)]
    rest = count - len(found)
    if len(looped) == 1 and rest > 0:
        found[looped[0] : looped[0]] = [found[looped[0]]] * rest
    return tuple(_rate_set(sources, site) for site in found) if len(found) == count else ()


def _rate_set(sources: Sources, group: Site) -> Path:
    """The line that gives a group its rate: that of the one variable the rate is, else the group's own."""
    pairs = zip(group.node.keys, group.node.values, strict=True) if isinstance(group.node, ast.Dict) else ()
    rates = [value for key, value in pairs if isinstance(key, ast.Constant) and key.value == "lr"]
    names = {rate.id for rate in rates if isinstance(rate, ast.Name)}
    made = [
        bind.path
        for bind, target, _ in sources.binds()
        if isinstance(target, ast.Name) and target.id in names and bind.function is group.function
    ]
    return made[0] if len(made) == 1 and group.function is not None else group.path


def _in_loop(site: Site) -> bool:
    loops = (ast.For, ast.While, ast.ListComp, ast.GeneratorExp)
    within = ast.walk(site.function) if site.function is not None else ()
    return any(
        node is not site.node and any(part is site.node for part in ast.walk(node))
        for node in within
        if isinstance(node, loops)
    )


def _step(sources: Sources, aliases: set[str], built: Site | None) -> Site | None:
    """A call of its step(), better of a scaler's step() with it. Not where its name is that of another variable."""
    elsewhere = _other_variables(sources, aliases, built) if built is not None else set()
    direct, through = [], []
    for site in sources.calls("step"):
        if site.function in elsewhere:
            continue
        if _receiver(site) in aliases:
            direct.append(site)
        elif isinstance(site.node, ast.Call) and any(key_of(a) in aliases for a in site.node.args):
            through.append(site)
    found = through or direct
    return found[0] if found else None


def _other_variables(sources: Sources, aliases: set[str], built: Site) -> set[ast.AST | None]:
    """Functions, other than the one that builds it, that give a local variable of its name a value of their own.

    Those that they define see that variable, too.
    """
    binds: set[ast.AST | None] = {
        bind.function
        for bind, target, value in sources.binds()
        if isinstance(target, ast.Name) and _is_made(value) and key_of(target) in aliases
    }
    return _with_inner(binds - {built.function, None}) - _with_inner({built.function})


def _is_made(value: ast.expr) -> bool:
    """Whether a call makes it, on one branch at least; not what another name holds already."""
    return isinstance(value, ast.Call) or (
        isinstance(value, ast.IfExp) and (_is_made(value.body) or _is_made(value.orelse))
    )


def _with_inner(functions: set[ast.AST | None]) -> set[ast.AST | None]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
    inner = (node for each in functions if each is not None for node in ast.walk(each) if isinstance(node, kinds))
    return functions.union(inner)


def _scheduler(sources: Sources, aliases: set[str], names: Iterable[str]) -> tuple[Path, Path]:
    """A call of its scheduler's step(), else the line that makes the scheduler or sets the rate by hand; that line."""
    keys = {key_of_name(name) for name in names} - {""}
    made: Path = ()
    for site in sources.calls():
        if isinstance(site.node, ast.Call) and _makes_scheduler(called(site)):
            given = [*site.node.args, *(k.value for k in site.node.keywords)]
            if any(key_of(argument) in aliases for argument in given):
                made = made or site.path
                keys |= {_assigned(sources, site)} - {""}
    stepped = sources.aliases(keys) - aliases
    for site in sources.calls("step"):
        if _receiver(site) in stepped:
            return site.path, made
    return made or _by_hand(sources, aliases), made


def _makes_scheduler(function: str) -> bool:
    lowered = function.lower()
    return lowered.endswith(_SCHEDULERS) or any(word in lowered for word in _SCHEDULERS[1:])


def _by_hand(sources: Sources, aliases: set[str]) -> Path:
    """The line that writes `group["lr"]` of its groups."""
    groups = {key_of(target) for target, source in sources.loops() if _groups_of(source, aliases)}
    for site, target, _ in sources.binds():
        if _is_rate(target) and (key_of(target.value) in groups or _groups_of(target.value, aliases)):
            return site.path
    return ()


def _is_rate(target: ast.expr) -> TypeGuard[ast.Subscript]:
    return isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Constant) and target.slice.value == "lr"


def _groups_of(expression: ast.expr, aliases: set[str]) -> bool:
    return any(
        isinstance(node, ast.Attribute) and node.attr == "param_groups" and key_of(node.value) in aliases
        for node in ast.walk(expression)
    )
