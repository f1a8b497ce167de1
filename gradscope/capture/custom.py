"""Lines inside a user's autograd.Function: what its forward() marks, and what its backward() returns."""

from __future__ import annotations

import ast
from typing import Any

from gradscope.capture.source import EMPTY, Stack, is_library
from gradscope.capture.statements import last_return, scope_of

_MARK, _CALL = "function", "mark_non_differentiable"


def function_of(stack: Stack) -> Stack:
    """Of an operation inside of forward(): the line that marks a result as non-differentiable, else who applied it."""
    applied = stack.above(_MARK)
    inside = stack.frames[: len(stack.frames) - len(applied.frames)]
    if not inside:
        return applied
    code = inside[-1][0]
    scope = scope_of(code.co_filename, code)
    for node in ast.walk(scope) if scope is not None else ():
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == _CALL:
            return Stack(((code, -node.lineno), *applied.frames), applied.marks)
    return applied


def backward_of(node: Any) -> Stack:
    """The last line of the backward() that made this node of the graph."""
    function = getattr(type(node), "_forward_cls", None)
    code = getattr(getattr(function, "backward", None), "__code__", None)
    if code is None or is_library(code.co_filename):
        return EMPTY
    return Stack(((code, -last_return(code)),))
