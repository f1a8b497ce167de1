"""Blocks in the source that turn gradients off or on: read where the switch itself was not seen."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from types import CodeType

from gradscope.capture.calls import Site, index_of, key_of
from gradscope.capture.source import EMPTY, Stack, line_of, user_files
from gradscope.capture.statements import scope_of
from gradscope.capture.variables import imported_files

_NO_CODE = compile("", "<none>", "exec")
_OFF = {"no_grad", "inference_mode", "set_grad_enabled"}


def grad_off_line(stack: Stack) -> Stack:
    """The outermost `with` line or decorator around an operation that turned gradients off and nothing turned on again.

    A `set_grad_enabled(flag)` says not which; it is named where nothing else is found.
    """
    found = guess = EMPTY
    for depth in reversed(range(len(stack.frames))):
        code, lasti = stack.frames[depth]
        for expression, line in _around(code, line_of(code, lasti)):
            here = Stack(((code, -line), *stack.frames[depth + 1 :]))
            if _turns_on(expression):
                found = guess = EMPTY
            elif _turns_off(expression):
                if _is_open(expression):
                    guess = guess if guess.frames else here
                else:
                    found = found if found.frames else here
            elif not found.frames and (block := _block_of_helper(expression)).frames:
                found = Stack((*block.frames, *here.frames))
    return found if found.frames else guess


def _block_of_helper(expression: ast.expr) -> Stack:
    """The `with` line that turns gradients off in a @contextmanager of the user's, around its yield."""
    name = key_of(expression.func) if isinstance(expression, ast.Call) else ""
    return _block_in(name, frozenset(user_files())) if name else EMPTY


@functools.lru_cache(maxsize=64)
def _block_in(name: str, files: frozenset[str]) -> Stack:
    for file in imported_files(sorted(files)):
        for called, _, function in index_of(file).functions:
            blocks = [n for n in ast.walk(function) if isinstance(n, ast.With)] if called == name else ()
            for block in blocks:
                off = any(_turns_off(item.context_expr) for item in block.items)
                if off and any(isinstance(node, (ast.Yield, ast.YieldFrom)) for node in ast.walk(block)):
                    return _line_in(file, block.lineno, name)
    return EMPTY


def _line_in(file: str, line: int, function: str) -> Stack:
    """A line of the source as a stack, of which no frame is running."""
    return Stack(((_NO_CODE.replace(co_filename=file, co_name=function), -line),))


def decorator_line(code: CodeType) -> int:
    """The line of the decorator that turns gradients off; 0 if there is none: the function was wrapped elsewhere."""
    scope = scope_of(code.co_filename, code)
    if isinstance(scope, (ast.FunctionDef, ast.AsyncFunctionDef)):
        for decorator in scope.decorator_list:
            if _turns_off(decorator):
                return decorator.lineno
    return 0 if scope is not None else code.co_firstlineno


def wrapping_line(code: CodeType) -> Stack:
    """The one call that wraps a function so that gradients are off in it: `net.forward = torch.no_grad()(net.forward)`.

    Of several only that which is given something of the function's name.
    """
    sites = _wrapping_calls(frozenset(user_files()))
    named = [site for site in sites if key_of(_given(site.node)) == code.co_name]
    found = named or sites
    if len(found) != 1:
        return EMPTY
    site = found[0]
    return _line_in(site.file, site.line, site.function.name if site.function is not None else "<module>")


@functools.lru_cache(maxsize=8)
def _wrapping_calls(files: frozenset[str]) -> tuple[Site, ...]:
    return tuple(site for file in imported_files(sorted(files)) for site in index_of(file).calls if _wraps(site.node))


def _wraps(node: ast.AST) -> bool:
    given = _given(node)
    if not isinstance(node, ast.Call) or given is None or isinstance(given, ast.Constant):
        return False
    if isinstance(node.func, ast.Call):
        return bool(_names(node.func.func) & _OFF) and _turns_off(node.func) and not _is_open(node.func)
    return key_of(node.func) == "no_grad"  # inference_mode(x) may be given a flag


def _given(node: ast.AST) -> ast.expr | None:
    return node.args[0] if isinstance(node, ast.Call) and len(node.args) == 1 and not node.keywords else None


def _around(code: CodeType, line: int) -> Iterator[tuple[ast.expr, int]]:
    """Decorators and context managers of one function around a line, outermost first, and where each begins."""
    scope = scope_of(code.co_filename, code)
    if isinstance(scope, (ast.FunctionDef, ast.AsyncFunctionDef)):
        for decorator in scope.decorator_list:
            yield decorator, decorator.lineno
    for node in ast.walk(scope) if scope is not None else ():  # goes by depth
        if isinstance(node, (ast.With, ast.AsyncWith)) and node.lineno <= line <= (node.end_lineno or 0):
            for item in node.items:
                yield item.context_expr, node.lineno


def _turns_off(expression: ast.expr) -> bool:
    return bool(_names(expression) & _OFF) and not _turns_on(expression)


def _turns_on(expression: ast.expr) -> bool:
    names = _names(expression)
    constant = _argument(expression)
    return (
        "enable_grad" in names
        or ("inference_mode" in names and constant is False)
        or ("set_grad_enabled" in names and constant is True)
    )


def _is_open(expression: ast.expr) -> bool:
    """Whether what it does depends on the value of its argument."""
    if isinstance(expression, ast.Call):
        return bool(expression.args or expression.keywords) and _argument(expression) is None
    return not isinstance(expression, (ast.Name, ast.Attribute))


def _argument(expression: ast.expr) -> object:
    """The constant that is given to a manager, if it is one."""
    values = [*expression.args, *(k.value for k in expression.keywords)] if isinstance(expression, ast.Call) else []
    return values[0].value if values and isinstance(values[0], ast.Constant) else None


def _names(expression: ast.expr) -> set[str]:
    nodes = list(ast.walk(expression))
    return {n.attr for n in nodes if isinstance(n, ast.Attribute)} | {n.id for n in nodes if isinstance(n, ast.Name)}
