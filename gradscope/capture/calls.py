"""Calls in the user's source: where an optimizer is built, stepped and scheduled, whether or not those lines ran.

Objects are followed by name through assignments, loops and arguments. A name says less than an object, so what
is found here fills only what the hooks did not see.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from gradscope.capture.guards import guard_of
from gradscope.capture.source import location
from gradscope.capture.statements import tree_of
from gradscope.records import Path

_ROUNDS = 4


@dataclass(frozen=True, slots=True, eq=False)
class Site:
    """A call or assignment in a file, and the function it stands in."""

    file: str
    node: ast.AST
    function: ast.FunctionDef | ast.AsyncFunctionDef | None

    @property
    def line(self) -> int:
        return getattr(self.node, "lineno", 0)

    @property
    def path(self) -> Path:
        return self._path(self.line)

    @property
    def guard(self) -> Path:
        """The condition that decides whether it is reached; () if there is none."""
        condition = guard_of(self.function or tree_of(self.file), self.node)
        return self._path(condition.lineno) if condition is not None else ()

    def _path(self, line: int) -> Path:
        return (location(self.file, line, self.function.name if self.function else ""),)


@dataclass(frozen=True, slots=True, eq=False)
class Index:
    """What one file calls, assigns and defines."""

    calls: list[Site] = field(default_factory=list)
    binds: list[tuple[Site, ast.expr, ast.expr]] = field(default_factory=list)
    """(statement, target, value)"""
    loops: list[tuple[ast.expr, ast.expr]] = field(default_factory=list)
    """(target, what is iterated over)"""
    functions: list[tuple[str, list[str], ast.AST]] = field(default_factory=list)
    """(name to call it by, parameters without self, its definition)"""
    groups: list[Site] = field(default_factory=list)
    """Dicts with a key `params`: parameter groups of an optimizer."""


@functools.lru_cache(maxsize=512)
def index_of(filename: str) -> Index:
    """The index of a source file; empty if it cannot be read or parsed."""
    index = Index()
    tree = tree_of(filename)
    todo: list[tuple[ast.AST, ast.FunctionDef | ast.AsyncFunctionDef | None, str]] = [(tree, None, "")] if tree else []
    while todo:
        node, function, kind = todo.pop()
        _enter(index, Site(filename, node, function), kind)
        inner = node if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) else function
        below = node.name if isinstance(node, ast.ClassDef) else "" if inner is node else kind
        todo.extend((child, inner, below) for child in reversed(list(ast.iter_child_nodes(node))))
    return index


def _enter(index: Index, site: Site, kind: str) -> None:
    node = site.node
    if _is_group(node):
        index.groups.append(site)
    if isinstance(node, ast.Call):
        index.calls.append(site)
    elif isinstance(node, ast.Assign):
        index.binds.extend((site, target, node.value) for target in node.targets)
    elif isinstance(node, (ast.AnnAssign, ast.NamedExpr, ast.AugAssign)) and node.value is not None:
        index.binds.append((site, node.target, node.value))
    elif isinstance(node, (ast.For, ast.AsyncFor, ast.comprehension)):
        index.loops.append((node.target, node.iter))
    elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        parameters = [a.arg for a in (*node.args.posonlyargs, *node.args.args)]
        name = kind if node.name == "__init__" else node.name
        index.functions.append((name, parameters[1:] if kind else parameters, node))


def _is_group(node: ast.AST) -> bool:
    if isinstance(node, ast.Dict):
        return any(isinstance(key, ast.Constant) and key.value == "params" for key in node.keys)
    return isinstance(node, ast.Call) and key_of(node.func) == "dict" and any(k.arg == "params" for k in node.keywords)


def key_of(node: ast.AST | None) -> str:
    """How an expression is known: its last name, with constant subscripts; empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        base = key_of(node.value)
        return f"{base}[{node.slice.value!r}]" if base else ""
    return ""


def key_of_name(name: str) -> str:
    """The key of a variable's name such as `trainer.optimizers['gen']`."""
    try:
        return key_of(ast.parse(name, mode="eval").body)
    except SyntaxError:
        return ""


def called(site: Site) -> str:
    """The last name of what is called."""
    return key_of(site.node.func) if isinstance(site.node, ast.Call) else ""


class Sources:
    """The files of the user's program, the most likely ones first."""

    def __init__(self, files: Iterable[str]) -> None:
        self.files = list(dict.fromkeys(files))

    def calls(self, name: str = "") -> Iterator[Site]:
        """All calls of functions or methods with this last name."""
        for file in self.files:
            yield from (site for site in index_of(file).calls if not name or called(site) == name)

    def binds(self) -> Iterator[tuple[Site, ast.expr, ast.expr]]:
        for file in self.files:
            yield from index_of(file).binds

    def groups(self) -> Iterator[Site]:
        for file in self.files:
            yield from index_of(file).groups

    def loops(self) -> Iterator[tuple[ast.expr, ast.expr]]:
        for file in self.files:
            yield from index_of(file).loops

    def defined(self, name: str) -> Iterator[ast.AST]:
        """The functions of this name."""
        for file in self.files:
            yield from (node for called, _, node in index_of(file).functions if called == name)

    def aliases(self, keys: Iterable[str]) -> set[str]:
        """All keys under which the object known by some keys may be reached."""
        known = {key for key in keys if key}
        for _ in range(_ROUNDS if known else 0):
            before = len(known)
            for file in self.files:
                index = index_of(file)
                for _, target, value in index.binds:
                    known.update(_bound(target, value, known))
                for target, source in index.loops:
                    containers = {key.partition("[")[0] for key in known if "[" in key}
                    if containers & {key_of(part) for part in ast.walk(source)}:
                        known.update(part.id for part in ast.walk(target) if isinstance(part, ast.Name))
            for site in self.calls():
                known.update(self._parameters(site, known))
            if len(known) == before:
                break
        return known

    def _parameters(self, site: Site, known: set[str]) -> Iterator[str]:
        call = site.node
        if not isinstance(call, ast.Call):
            return
        for keyword in call.keywords:
            if keyword.arg and key_of(keyword.value) in known and self._defines(called(site), keyword.arg):
                yield keyword.arg
        given = [number for number, value in enumerate(call.args) if key_of(value) in known]
        for file in self.files if given else ():
            for name, parameters, _ in index_of(file).functions:
                if name == called(site):
                    yield from (parameters[number] for number in given if number < len(parameters))

    def _defines(self, function: str, parameter: str) -> bool:
        return any(
            name == function and parameter in p for file in self.files for name, p, _ in index_of(file).functions
        )


def _bound(target: ast.expr, value: ast.expr, known: set[str]) -> Iterator[str]:
    """Keys that an assignment gives to an object with known keys."""
    if isinstance(target, (ast.Tuple, ast.List)) and isinstance(value, (ast.Tuple, ast.List)):
        for left, right in zip(target.elts, value.elts, strict=False):
            yield from _bound(left, right, known)
        return
    mine = key_of(target)
    if not mine:
        return
    if key_of(value) in known:
        yield mine
    elif isinstance(value, (ast.List, ast.Tuple)):
        yield from (f"{mine}[{number}]" for number, item in enumerate(value.elts) if key_of(item) in known)
    elif isinstance(value, ast.Dict):
        for key, item in zip(value.keys, value.values, strict=True):
            if isinstance(key, ast.Constant) and key_of(item) in known:
                yield f"{mine}[{key.value!r}]"
