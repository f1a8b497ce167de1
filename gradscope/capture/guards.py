"""The condition that decides in the source whether a call is reached."""

from __future__ import annotations

import ast

_LEAVES = (ast.Return, ast.Continue, ast.Break, ast.Raise)


def guard_of(scope: ast.AST | None, call: ast.AST) -> ast.If | None:
    """The innermost `if` around a call, else the last one before it that leaves the loop or function instead.

    Examples:
        `if (i + 1) % 8 == 0: optimizer.step()` and `if norm > limit: return` before `optimizer.step()`.
    """
    blocks = _blocks_around(scope, call) if scope is not None else []
    for owner, block, place in reversed(blocks):
        if isinstance(owner, ast.If):
            return owner
        for statement in reversed(block[:place]):
            if isinstance(statement, ast.If) and _leaves(statement):
                return statement
        if isinstance(owner, (ast.FunctionDef, ast.AsyncFunctionDef)):
            break
    return None


def _leaves(statement: ast.If) -> bool:
    return any(block and isinstance(block[-1], _LEAVES) for block in (statement.body, statement.orelse))


def _blocks_around(scope: ast.AST, call: ast.AST) -> list[tuple[ast.AST, list[ast.stmt], int]]:
    """From the outside in: a statement, the one of its blocks that holds the call, and at which place."""
    found: list[tuple[ast.AST, list[ast.stmt], int]] = []
    owner: ast.AST | None = scope
    while owner is not None:
        inner = None
        for block in _blocks(owner):
            for place, statement in enumerate(block):
                if any(node is call for node in ast.walk(statement)):
                    found.append((owner, block, place))
                    inner = statement
        owner = inner
    return found


def _blocks(owner: ast.AST) -> list[list[ast.stmt]]:
    blocks = [getattr(owner, name, []) for name in ("body", "orelse", "finalbody")]
    blocks += [handler.body for handler in getattr(owner, "handlers", [])]
    blocks += [case.body for case in getattr(owner, "cases", [])]
    return [block for block in blocks if isinstance(block, list)]
