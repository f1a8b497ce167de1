"""Comments `# gradscope: expect-no-grad` and `# gradscope: ignore[RULES]` in the user's source.

A comment is about the statement it stands in or, alone on its line, about the next one: a stop is declared on the line
that cuts, or on the line that builds the model. Of a statement with a body only the head counts.
"""

from __future__ import annotations

import ast
import io
import linecache
import re
import sys
import tokenize
from collections.abc import Iterator
from functools import lru_cache

from gradscope.capture.source import location, user_files
from gradscope.capture.statements import tree_of
from gradscope.records import Declaration

MARK = "gradscope:"
_COMMENT = re.compile(r"#\s*gradscope:\s*(?P<word>[\w-]+)\s*(?:\[(?P<codes>[^\]]*)\])?")
NO_GRADIENT = ("GS1",)
"""What `expect-no-grad` lets pass: the rules about gradients that never come."""
_BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")


def declarations() -> tuple[Declaration, ...]:
    """All declarations in the files of the user's code that has been seen, and in the script."""
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    files = sorted(user_files() | ({main} if isinstance(main, str) else set()))
    return tuple(found for file in files for found in _declared_in(file))


@lru_cache(maxsize=4096)
def _declared_in(file: str) -> tuple[Declaration, ...]:
    source = "".join(linecache.getlines(file))
    if MARK not in source:
        return ()
    return tuple(_read(file, source))


def _read(file: str, source: str) -> Iterator[Declaration]:
    tree = tree_of(file)
    if tree is None:
        return
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        match = _COMMENT.match(token.string) if token.type == tokenize.COMMENT else None
        if match is None:
            continue
        line, alone = token.start[0], not token.line[: token.start[1]].strip()
        place = location(file, line)
        first, last, targets = _statement(tree, line, alone)
        yield Declaration(place.file, line, first, last, match[0].strip(), _codes(match), targets)


def _codes(match: re.Match[str]) -> tuple[str, ...]:
    word = match["word"].replace("_", "-")
    listed = tuple(code.strip() for code in (match["codes"] or "").split(",") if code.strip())
    return {"expect-no-grad": listed or NO_GRADIENT, "ignore": listed}.get(word, ())


def _statement(tree: ast.Module, line: int, alone: bool) -> tuple[int, int, tuple[str, ...]]:
    """First and last line of the statement that a comment is about, and what it assigns to."""
    best: tuple[int, int, tuple[str, ...]] = (line, line, ())
    following = None
    for node in ast.walk(tree):
        if not isinstance(node, ast.stmt):
            continue
        first, last = _head(node)
        if first <= line <= last:
            return first, last, _targets(node)
        if first > line and (following is None or first < following[0]):
            following = first, last, _targets(node)
    return following if alone and following is not None else best


def _head(node: ast.stmt) -> tuple[int, int]:
    """The lines of a statement without its body, with its decorators."""
    first = min([node.lineno, *(decorator.lineno for decorator in getattr(node, "decorator_list", ()))])
    if not getattr(node, "body", None):
        return first, node.end_lineno or node.lineno
    inside = {id(below) for block in _BLOCKS for below in getattr(node, block, ())}
    above = [part for part in ast.iter_child_nodes(node) if id(part) not in inside]
    return first, max([node.lineno, *(getattr(part, "end_lineno", 0) for part in _parts(above))])


def _parts(nodes: list[ast.AST]) -> Iterator[ast.AST]:
    """The nodes, and below those without a place of their own (arguments, items of a `with`) what they hold."""
    for node in nodes:
        yield from (node,) if hasattr(node, "end_lineno") else _parts(list(ast.iter_child_nodes(node)))


def _targets(node: ast.stmt) -> tuple[str, ...]:
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    leaves = [leaf for target in targets if target is not None for leaf in _leaves(target)]
    return tuple(leaf.attr if isinstance(leaf, ast.Attribute) else leaf.id for leaf in leaves)


def _leaves(target: ast.AST) -> Iterator[ast.Attribute | ast.Name]:
    if isinstance(target, (ast.Attribute, ast.Name)):
        yield target
    for element in getattr(target, "elts", ()):
        yield from _leaves(element)
