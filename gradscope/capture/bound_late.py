"""Late binding: functions made in a loop look its variable up when they are called, after the loop has ended.

`[lambda x: net(x) for net in nets]` makes functions that all call the last of `nets`; the others are never used.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Collection, Iterable, Iterator
from types import CodeType
from typing import TypeAlias

from gradscope.capture.source import Stack, resolve
from gradscope.capture.statements import tree_of
from gradscope.capture.tape import Tape
from gradscope.records import LATE, Cut, Run

_LOOPS = (ast.For, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_Function: TypeAlias = "ast.Lambda | ast.FunctionDef"


def bound_late(tape: Tape, run: Run, unused: Collection[int], uids: Iterable[int]) -> tuple[Cut, ...]:
    """Per function made in a loop that ran: a cut of those of `uids` that belong to a module the loop goes through.

    Only of modules of which nothing is used: what one leaves out in each turn has another reason.
    """
    places = {uid: [(o.model, *o.fqn.split(".")) for o in run.parameters[uid].owners] for uid in uids}
    whole = _whole(run, unused) if places else set()
    cuts = []
    for stack in _made_in_loops(tape) if places else ():
        code = stack.frames[0][0]
        names = _names_at(code.co_filename, code.co_firstlineno, code.co_name)
        left = {uid for uid, ways in places.items() if any(_goes_through(way, names, whole) for way in ways)}
        if left:
            cuts.append(Cut("unused_module", frozenset(left), resolve(stack), LATE, 0))
    return tuple(cuts)


def _goes_through(way: tuple[str, ...], names: frozenset[str], whole: set[tuple[str, ...]]) -> bool:
    """Whether a module on the way to a parameter has one of these names, or is an item of what has, and is unused."""
    named = [depth for depth, part in enumerate(way[:-1], start=1) if part in names]
    return any(way[:depth] in whole or way[: depth + 1] in whole for depth in named)


def _whole(run: Run, unused: Collection[int]) -> set[tuple[str, ...]]:
    """The modules of which no parameter is used."""
    ways = {uid: [(o.model, *o.fqn.split(".")) for o in p.owners] for uid, p in run.parameters.items()}
    idle = {way[:end] for uid in unused for way in ways[uid] for end in range(1, len(way))}
    return idle - {way[:end] for uid in ways.keys() - set(unused) for way in ways[uid] for end in range(1, len(way))}


def _made_in_loops(tape: Tape) -> Iterator[Stack]:
    """A stack for each function that ran and that a loop made: it ends where the function is written."""
    seen: set[CodeType] = set()
    for op in tape.ops:
        for depth, (code, _) in enumerate(op.stack.frames):
            if code not in seen:
                seen.add(code)
                if _names_at(code.co_filename, code.co_firstlineno, code.co_name):
                    yield Stack(((code, -code.co_firstlineno), *op.stack.frames[depth + 1 :]))


def _names_at(filename: str, line: int, name: str) -> frozenset[str]:
    return _late_functions(filename).get((line, name), frozenset())


@functools.lru_cache(maxsize=256)
def _late_functions(filename: str) -> dict[tuple[int, str], frozenset[str]]:
    """Per function (line, name) that reads the variable of the loop it is made in: what the loop goes through."""
    tree, found = tree_of(filename), dict[tuple[int, str], frozenset[str]]()
    for loop in ast.walk(tree) if tree is not None else ():
        if not isinstance(loop, _LOOPS):
            continue
        heads = [loop] if isinstance(loop, ast.For) else loop.generators
        variables = {name for head in heads for name in _names(head.target)}
        inside = loop.body if isinstance(loop, ast.For) else [loop]
        for made in (node for part in inside for node in ast.walk(part)):
            if isinstance(made, (ast.Lambda, ast.FunctionDef)) and variables & _read_late(made):
                words = {word for part in (*(head.iter for head in heads), *_items(made)) for word in _names(part)}
                name = made.name if isinstance(made, ast.FunctionDef) else "<lambda>"
                found[made.lineno, name] = frozenset(words - variables)
    return found


def _items(made: _Function) -> Iterator[ast.expr]:
    """What a function takes items of: `nets` in `lambda x: nets[i](x)`."""
    return (node.value for node in ast.walk(made) if isinstance(node, ast.Subscript))


def _read_late(made: _Function) -> set[str]:
    """The names that a function reads in its body and that are neither its arguments nor its own variables."""
    arguments = made.args
    own = {a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}
    body: Iterable[ast.AST] = made.body if isinstance(made, ast.FunctionDef) else [made.body]
    names = [node for part in body for node in ast.walk(part) if isinstance(node, ast.Name)]
    own.update(name.id for name in names if isinstance(name.ctx, ast.Store))
    return {name.id for name in names if isinstance(name.ctx, ast.Load)} - own


def _names(node: ast.AST) -> set[str]:
    """All names and attributes in a piece of code."""
    parts = list(ast.walk(node))
    return {n.id for n in parts if isinstance(n, ast.Name)} | {n.attr for n in parts if isinstance(n, ast.Attribute)}
