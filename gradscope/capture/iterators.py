"""One-shot iterators in the source: which line used up what an optimizer was then built from."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from gradscope.capture.calls import Index, Site, Sources, called, index_of, key_of
from gradscope.capture.source import location
from gradscope.records import Path

_ONE_SHOT = {
    "filter", "map", "zip", "chain", "from_iterable", "iter", "islice", "reversed", "starmap",
    "parameters", "named_parameters",
}  # fmt: skip
_OUT = ("values", "items")
_HARMLESS = {"print", "repr", "str", "type", "id", "isinstance", "hasattr"}


def exhausted(built: Site, sources: Sources, *, empty: bool) -> Path:
    """The line that used up an iterator before an optimizer was built from it.

    `empty`: the optimizer has a group without parameters, so that also an iterator whose use is not seen is told,
    by the line that made it.
    """
    index = index_of(built.file)
    names = [node for argument in _arguments(built) for node in ast.walk(argument)]
    for node in names:
        key = key_of(node)
        bound = _binding(index, built, key) if isinstance(node, (ast.Name, ast.Attribute)) else None
        held = bound is not None and empty and any(_is_one_shot(item, sources) for item in _items(bound[1]))
        if bound is None or not (held or _is_one_shot(bound[1], sources)):
            continue
        used = _first_use(index, built, key, bound[0], held=held)
        line = used or (bound[0].line if empty else 0)
        if line:
            return (location(built.file, line, built.function.name if built.function else ""),)
    return ()


def _items(value: ast.expr) -> list[ast.expr]:
    """What a list or dict that is written down holds."""
    if isinstance(value, (ast.List, ast.Tuple)):
        return value.elts
    return value.values if isinstance(value, ast.Dict) else []


def _arguments(site: Site) -> list[ast.expr]:
    call = site.node
    return [*call.args, *(k.value for k in call.keywords)] if isinstance(call, ast.Call) else []


def _binding(index: Index, site: Site, key: str) -> tuple[Site, ast.expr] | None:
    """The last assignment to a name before a line of the same function."""
    found = None
    for bind, target, value in index.binds:
        if key_of(target) == key and bind.function is site.function and bind.line < site.line:
            found = bind, value
    return found


def _is_one_shot(value: ast.expr, sources: Sources) -> bool:
    if isinstance(value, ast.GeneratorExp):
        return True
    name = key_of(value.func) if isinstance(value, ast.Call) else ""
    return name in _ONE_SHOT or (bool(name) and any(map(_generates, sources.defined(name))))


def _generates(function: ast.AST) -> bool:
    """Whether what a function of the user's returns can be gone through only once."""
    inner: list[ast.AST] = list(ast.iter_child_nodes(function))
    while inner:
        node = inner.pop()
        if isinstance(node, (ast.Yield, ast.YieldFrom)):
            return True
        if isinstance(node, ast.Return):
            given = node.value
            if isinstance(given, ast.GeneratorExp) or (isinstance(given, ast.Call) and key_of(given.func) in _ONE_SHOT):
                return True
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)):
            inner.extend(ast.iter_child_nodes(node))
    return False


def _first_use(index: Index, built: Site, key: str, bound: Site, *, held: bool) -> int:
    """The first line between an assignment and the optimizer that iterates over the name; 0 for none.

    `held`: over what a list or dict of this name holds, as far as the line takes that out.
    """
    first = getattr(bound.node, "end_lineno", bound.line)
    uses = [
        use.lineno
        for use in _iterated(index, built)
        if first < use.lineno < built.line and (_takes_out(use, key) if held else key_of(use) == key)
    ]  # fmt: skip
    return min(uses, default=0)


def _takes_out(use: ast.expr, key: str) -> bool:
    """Whether an expression takes items out of a list or dict."""
    for node in ast.walk(use):
        if isinstance(node, ast.Attribute) and node.attr not in _OUT:
            continue
        if isinstance(node, (ast.Attribute, ast.Subscript)) and key_of(node.value) == key:
            return True
    return key_of(use) == key


def _iterated(index: Index, built: Site) -> Iterator[ast.expr]:
    for site in index.calls:
        if site.function is built.function and called(site) not in _HARMLESS:
            for argument in _arguments(site):
                yield argument.value if isinstance(argument, ast.Starred) else argument
    lowest, highest = (built.function.lineno, built.function.end_lineno or 0) if built.function else (0, 1 << 30)
    for _, source in index.loops:
        if lowest <= source.lineno <= highest:
            yield source
