"""The user's source as statements: what a line assigns, returns and uses, and what that taints.

A Python float or a numpy array cannot be followed from outside without changing the program. What can be
followed is its name: from the statement in which a value left torch, through assignments, appends and
returns, to the statements that use it. That is enough to tell a value that came back as a constant from
one that was only printed.
"""

from __future__ import annotations

import ast
import functools
import linecache
from collections.abc import Iterator
from types import CodeType
from typing import NamedTuple

from gradscope.capture.source import Stack, line_of

Line = tuple[str, int]
_ROUNDS = 12


@functools.lru_cache(maxsize=512)
def tree_of(filename: str) -> ast.Module | None:
    """The syntax tree of a source file; None if it cannot be read or parsed."""
    try:
        return ast.parse("".join(linecache.getlines(filename)))
    except (SyntaxError, ValueError):
        return None


@functools.lru_cache(maxsize=4096)
def statement_at(filename: str, line: int) -> ast.stmt | None:
    """The innermost statement that covers a line."""
    tree = tree_of(filename)
    found = [
        node
        for node in (ast.walk(tree) if tree is not None else ())
        if isinstance(node, ast.stmt) and node.lineno <= line <= (node.end_lineno or node.lineno)
    ]
    chosen = max(found, key=_extent, default=None)
    while chosen is not None:  # `def f(x): return x` on one line covers no more than its own body
        inside = (node for node in ast.iter_child_nodes(chosen) if node in found and _extent(node) == _extent(chosen))
        deeper = next(inside, None)
        if deeper is None:
            break
        chosen = deeper
    return chosen


def _extent(statement: ast.stmt) -> tuple[int, int]:
    return statement.lineno, -(statement.end_lineno or 0)


@functools.lru_cache(maxsize=1024)
def scope_of(filename: str, code: CodeType) -> ast.AST | None:
    """The function a code object was compiled from, or the module."""
    tree = tree_of(filename)
    if tree is None or code.co_name == "<module>":
        return tree
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == code.co_name:
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            if first == code.co_firstlineno:
                return node
    return tree


@functools.lru_cache(maxsize=512)
def loop_variables(scope: ast.AST | None) -> frozenset[str]:
    """The names that the `for` statements of a function or file give to what they go through."""
    nodes = ast.walk(scope) if scope is not None else ()
    targets = [node.target for node in nodes if isinstance(node, (ast.For, ast.AsyncFor))]
    return frozenset(part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name))


def is_return(filename: str, line: int) -> bool:
    """Whether the value computed on a line is handed to the caller."""
    return isinstance(statement_at(filename, line), (ast.Return, ast.Lambda)) or isinstance(
        getattr(statement_at(filename, line), "value", None), (ast.Yield, ast.YieldFrom)
    )


def bound_in(stack: Stack) -> Stack:
    """The part of a stack from the frame in which the computed value was given a name: past all returns.

    The key of a dict that is returned is a name, too.
    """
    frames = stack.frames
    while len(frames) > 1:
        place = frames[0][0].co_filename, line_of(*frames[0])
        if not is_return(*place) or isinstance(getattr(statement_at(*place), "value", None), ast.Dict):
            break
        frames = frames[1:]
    return Stack(frames)


class Taint(NamedTuple):
    """Where a value that left torch is used again, under the names it was given."""

    lines: frozenset[Line]
    calls: frozenset[tuple[str, int, CodeType]]
    """Statements that call the function that returned it: tainted, but for what that function itself does."""

    def marks(self, stack: Stack) -> bool:
        """Whether an operation with this stack works with it."""
        below: CodeType | None = None
        for code, lasti in stack.frames:
            line = line_of(code, lasti)
            if (code.co_filename, line) in self.lines:
                return True
            if any(f == code.co_filename and n == line and c is not below for f, n, c in self.calls):
                return True
            below = code
        return False


def taint_of(stack: Stack) -> Taint:
    """What the statement at the bottom of `stack` taints."""
    lines: set[Line] = set()
    calls: set[tuple[str, int, CodeType]] = set()
    attributes: set[str] = set()
    seeds: dict[int, set[str]] = {}
    depth = 0
    frames = stack.frames
    pending = [0]
    while pending and depth < _ROUNDS:
        depth += 1
        at = pending.pop()
        if at >= len(frames):
            continue
        code, lasti = frames[at]
        statement = statement_at(code.co_filename, line_of(code, lasti))
        if statement is None:
            continue
        names, attrs, returns = _bound(statement)
        if at == 0:
            lines.update(_lines(code.co_filename, statement))
        else:
            calls.update((f, n, frames[at - 1][0]) for f, n in _lines(code.co_filename, statement))
        attributes |= attrs
        seeds.setdefault(at, set()).update(names)
        if _spread(code, seeds[at], attributes, lines) or returns:
            pending.append(at + 1)
    if attributes:
        for at, (code, _) in enumerate(frames):
            _uses_of_attributes(code.co_filename, attributes, lines)
            _spread(code, seeds.setdefault(at, set()), attributes, lines)
    return Taint(frozenset(lines), frozenset(calls))


def _spread(code: CodeType, names: set[str], attributes: set[str], lines: set[Line]) -> bool:
    """Spread taint through the statements of one function; returns whether it is returned."""
    scope = scope_of(code.co_filename, code)
    if scope is None:
        return False
    returned = False
    for _ in range(_ROUNDS):
        before = (len(names), len(attributes))
        for statement in _statements(scope):
            if not _uses(statement, names, attributes):
                continue
            lines.update(_lines(code.co_filename, statement))
            bound, attrs, returns = _bound(statement)
            names |= bound
            attributes |= attrs
            returned = returned or returns
        if before == (len(names), len(attributes)):
            break
    return returned


def _uses_of_attributes(filename: str, attributes: set[str], lines: set[Line]) -> None:
    tree = tree_of(filename)
    for statement in _statements(tree) if tree is not None else ():
        if _uses(statement, set(), attributes):
            lines.update(_lines(filename, statement))


def _statements(scope: ast.AST) -> Iterator[ast.stmt]:
    for node in ast.walk(scope):
        if isinstance(node, ast.stmt) and not isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef)):
            yield node


def _parts(statement: ast.stmt) -> list[ast.AST]:
    """A statement's own expressions, without the statements inside it."""
    if isinstance(statement, (ast.For, ast.AsyncFor)):
        return [statement.iter]
    if isinstance(statement, (ast.If, ast.While)):
        return []
    if isinstance(statement, (ast.With, ast.AsyncWith)):
        return [item.context_expr for item in statement.items]
    if isinstance(statement, ast.Assign):
        return [statement.value, *(t for t in statement.targets if isinstance(t, ast.Subscript))]
    if isinstance(statement, (ast.AugAssign, ast.AnnAssign, ast.Return, ast.Expr)):
        return [statement.value] if statement.value is not None else []
    return []


def _uses(statement: ast.stmt, names: set[str], attributes: set[str]) -> bool:
    for part in _parts(statement):
        for node in ast.walk(part):
            if isinstance(node, ast.Name) and node.id in names:
                return True
            if isinstance(node, ast.Attribute) and node.attr in attributes:
                return True
    return False


def _lines(filename: str, statement: ast.stmt) -> Iterator[Line]:
    body = getattr(statement, "body", None)
    last = body[0].lineno - 1 if isinstance(body, list) and body else statement.end_lineno or statement.lineno
    for line in range(statement.lineno, max(last, statement.lineno) + 1):
        yield filename, line


def _bound(statement: ast.stmt) -> tuple[set[str], set[str], bool]:
    """(names, attributes, whether it returns) that a statement gives its value to."""
    names: set[str] = set()
    attributes: set[str] = set()
    targets: list[ast.expr] = []
    if isinstance(statement, ast.Assign):
        targets = list(statement.targets)
    elif isinstance(statement, (ast.AugAssign, ast.AnnAssign, ast.For, ast.AsyncFor)):
        targets = [statement.target]
    elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        function = statement.value.func
        if isinstance(function, ast.Attribute) and function.attr in ("append", "extend", "add", "update", "insert"):
            targets = [function.value]
    for target in targets:
        for node in ast.walk(target):
            if isinstance(node, ast.Name) and not _is_base(node, target):
                names.add(node.id)
            elif isinstance(node, ast.Attribute):
                attributes.add(node.attr)
    value = getattr(statement, "value", None)
    for node in ast.walk(value) if isinstance(value, ast.AST) else ():
        if isinstance(node, ast.NamedExpr):
            names.add(node.target.id)
    returns = isinstance(statement, ast.Return) or isinstance(value, (ast.Yield, ast.YieldFrom))
    return names, attributes, returns


def _is_base(name: ast.Name, target: ast.expr) -> bool:
    """`self` in `self.x = ...` is not what is assigned."""
    return any(isinstance(node, ast.Attribute) and node.value is name for node in ast.walk(target))


def last_return(code: CodeType) -> int:
    """The line of the last return of a function that returns something; a lambda is one."""
    if code.co_name == "<lambda>":
        return code.co_firstlineno
    scope = scope_of(code.co_filename, code)
    returns = [node for node in ast.walk(scope) if isinstance(node, ast.Return)] if scope is not None else []
    telling = [node for node in returns if not (isinstance(node.value, ast.Constant) and node.value.value is None)]
    return max((node.lineno for node in telling or returns), default=code.co_firstlineno)


def call_in(stack: Stack, name: str) -> Stack:
    """A stack that ends in a statement of several lines, at the one call of this name that the statement has."""
    if not stack.frames:
        return stack
    (code, lasti), *callers = stack.frames
    statement = statement_at(code.co_filename, line_of(code, lasti))
    calls = [node for node in ast.walk(statement) if isinstance(node, ast.Call)] if statement is not None else []
    lines = {call.lineno for call in calls if _called(call) == name}
    return stack._replace(frames=((code, -lines.pop()), *callers)) if len(lines) == 1 else stack


def _called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def assigned_once(code: CodeType, name: str) -> int:
    """The line of the only statement that binds a variable of a function or file, to what a call gives; else 0."""
    scope = scope_of(code.co_filename, code)
    todo: list[tuple[ast.AST, bool]] = [(node, False) for node in getattr(scope, "body", ())]
    lines: list[int] = []
    while todo:
        node, in_loop = todo.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef, ast.comprehension)):
            continue
        bound = any(isinstance(part, ast.Name) and part.id == name for part in _targets(node))
        if bound:
            value = getattr(node, "value", None)
            given = value is not None and any(isinstance(part, ast.Call) for part in ast.walk(value))
            lines.append(node.lineno if given and not in_loop else 0)  # type: ignore[attr-defined]
        in_loop = in_loop or isinstance(node, (ast.For, ast.AsyncFor, ast.While))
        todo += [(child, in_loop) for child in ast.iter_child_nodes(node)]
    return lines[0] if len(lines) == 1 else 0


def _targets(node: ast.AST) -> Iterator[ast.AST]:
    """The names and what else a node binds."""
    found = [*getattr(node, "targets", ()), getattr(node, "target", None), getattr(node, "optional_vars", None)]
    for target in found:
        if isinstance(target, ast.AST):
            yield from ast.walk(target)
