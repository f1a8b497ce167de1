"""Where a value is dropped by whoever got it: `logits, _ = net(x)`, `out = net(x)[0]`, an argument that is ignored."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from types import CodeType

from gradscope.capture.source import Stack, line_of
from gradscope.capture.statements import scope_of, statement_at

_LOOKS = {"isinstance", "type", "len", "print"}
"""Functions that only look at what they are given."""


def dropped_in(stack: Stack) -> Stack:
    """Of a stack that ends where a value is named: the caller's line that leaves this part of the result unused.

    The stack itself, where the value is not returned in a tuple or its caller may use it.
    """
    frames = stack.frames
    if len(frames) < 2:
        return stack
    (code, at), (outer, call), *_ = frames
    line = line_of(code, at)
    number = _place_in_result(code, line)
    caller = statement_at(outer.co_filename, line_of(outer, call))
    if number is None or not isinstance(caller, ast.Assign) or len(caller.targets) != 1:
        return stack
    found = _drops(outer, caller, number)
    return Stack(((outer, -found), *frames[2:]), stack.marks) if found else stack


def handed_over(stack: Stack) -> Stack:
    """Of a stack that ends where a value is reshaped under its own name: the call that it is all made for.

    Nothing has used it, so the function that is called there ignores it.
    """
    (code, at), *outer = stack.frames or ((None, 0),)
    statement = statement_at(code.co_filename, line_of(code, at)) if code is not None else None
    if code is None or not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        return stack
    name = statement.targets[0]
    if not isinstance(name, ast.Name) or not any(_is(node, name.id) for node in ast.walk(statement.value)):
        return stack
    later = [line for line in _loads(code, name.id) if line > (statement.end_lineno or statement.lineno)]
    scope = scope_of(code.co_filename, code)
    calls = [node for node in (ast.walk(scope) if scope is not None else ()) if isinstance(node, ast.Call)]
    given = [c.lineno for c in calls if any(_is(a, name.id) for a in (*c.args, *(k.value for k in c.keywords)))]
    if len(later) != 1 or given.count(later[0]) != 1:
        return stack
    return Stack(((code, -later[0]), *outer), stack.marks)


def _place_in_result(code: CodeType, line: int) -> int | None:
    """Which item of the tuples that a function returns is the name that a statement gives."""
    statement, scope = statement_at(code.co_filename, line), scope_of(code.co_filename, code)
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1 or scope is None:
        return None
    name = statement.targets[0]
    if not isinstance(name, ast.Name):
        return None
    places: set[int] = set()
    for node in ast.walk(scope):
        if isinstance(node, ast.Return) and node.value is not None:
            for result in _tuples(node.value):
                places.update(n for n, item in enumerate(result.elts) if _is(item, name.id))
    uses = [node for node in ast.walk(scope) if isinstance(node, ast.Name) and node.id == name.id]
    used = [node for node in uses if isinstance(node.ctx, ast.Load)]
    return places.pop() if len(places) == 1 and len(used) <= len(list(_returned(scope, name.id))) else None


def _tuples(value: ast.expr) -> Iterator[ast.Tuple]:
    for part in (value.body, value.orelse) if isinstance(value, ast.IfExp) else (value,):
        if isinstance(part, ast.Tuple):
            yield part


def _returned(scope: ast.AST, name: str) -> Iterator[ast.expr]:
    """Uses of a name that only hand it to the caller, as an item of a tuple."""
    for node in ast.walk(scope):
        if isinstance(node, ast.Return) and node.value is not None:
            yield from (item for result in _tuples(node.value) for item in result.elts if _is(item, name))


def _is(item: ast.AST, name: str) -> bool:
    return isinstance(item, ast.Name) and item.id == name


def _drops(code: CodeType, caller: ast.Assign, number: int) -> int:
    """The line on which the caller leaves one item of what it got; 0 if it may use it."""
    target, value = caller.targets[0], caller.value
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Call):
        starred = any(isinstance(item, ast.Starred) for item in target.elts)
        item = target.elts[number] if number < len(target.elts) and not starred else None
        unused = isinstance(item, ast.Name) and (item.id.startswith("_") or not _loads(code, item.id))
        return caller.lineno if unused else 0
    if isinstance(value, ast.Subscript) and isinstance(value.value, ast.Call):
        return caller.lineno if _other_item(value, number) else 0
    if not isinstance(target, ast.Name) or not isinstance(value, ast.Call):
        return 0
    return _one_item_taken(code, target.id, number)


def _one_item_taken(code: CodeType, name: str, number: int) -> int:
    """The first line that takes another item of a result, if nothing takes this one or all of it."""
    scope = scope_of(code.co_filename, code)
    lines, seen = [], 0
    for node in ast.walk(scope) if scope is not None else ():
        if isinstance(node, ast.Subscript) and _is(node.value, name):
            if not _other_item(node, number):
                return 0
            lines.append(node.lineno)
            seen += 1
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in _LOOKS:
            seen += sum(_is(argument, name) for argument in node.args)
    first = min(lines, default=0)
    later = sum(load > first for load in _loads(code, name))  # `out = out[0]`: from there it is another thing
    return first if first and len(_loads(code, name)) - later <= seen and _rebinds(code, name, first) else 0


def _rebinds(code: CodeType, name: str, line: int) -> bool:
    """Whether the statement there gives the item the name of the whole, or nothing comes after that reads the whole."""
    statement = statement_at(code.co_filename, line)
    again = isinstance(statement, ast.Assign) and any(_is(target, name) for target in statement.targets)
    return again or not any(load > line for load in _loads(code, name))


def _loads(code: CodeType, name: str) -> list[int]:
    """The lines that read a variable."""
    scope = scope_of(code.co_filename, code)
    return [
        node.lineno
        for node in (ast.walk(scope) if scope is not None else ())
        if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load)
    ]


def _other_item(node: ast.Subscript, number: int) -> bool:
    return (
        isinstance(node.slice, ast.Constant)
        and isinstance(node.slice.value, int)
        and node.slice.value not in (number, -1)
    )
