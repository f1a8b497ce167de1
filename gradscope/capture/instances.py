"""Another instance is called: a moving average or frozen copy of a model takes part in the loss, and the model not.

Then the line that averages or copies is right, and what is wrong is the call.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from types import CodeType

from gradscope.capture.cuts import CutFinder
from gradscope.capture.operations import SELECTION
from gradscope.capture.source import Stack, line_of, resolve
from gradscope.capture.statements import scope_of, statement_at
from gradscope.capture.targets import MEANT
from gradscope.capture.values import REPLACES
from gradscope.records import WRAPPED, Cut, Parameter, Run

_MOST = 20_000
SELDOM = 0.5
"""Share of the backward passes that reach a copy; a target network is renewed after many."""
Frame = tuple[CodeType, int]


def instances(finder: CutFinder, run: Run, uids: Iterable[int]) -> tuple[Cut, ...]:
    """Per instance that is called in place of another: a cut of the parameters of that other one."""
    held = {u for o in run.optimizers for u in o.parameters}
    trained = {u for u, t in run.tallies.items() if t.backwards and u not in held}
    frozen = {u for u, p in run.parameters.items() if not p.trainable and u not in held}
    groups: dict[str, dict[int, int]] = {}
    for uid in sorted(uids) if trained or frozen else ():
        alike = [(n, c) for c in _averages(finder, run, uid) if (n := _names(run, uid, c)[1])]
        found = [(n, c) for n, c in alike if c in trained or (c in frozen and _first_use(finder, c))]
        if found:
            copy = max(found)[1]
            groups.setdefault(_names(run, uid, copy)[0], {})[uid] = copy
    cuts = []
    for name, pairs in groups.items():
        stack = _call(finder, run, pairs)
        if stack.frames:
            cuts.append(Cut("copied", frozenset(pairs), resolve(stack), "", 0, detail=name))
    return tuple(cuts)


def _averages(finder: CutFinder, run: Run, uid: int) -> set[int]:
    """Parameters that a moving average of this one is written to, or frozen ones and copies that it is copied to.

    None if it has any other effect on a loss than to choose (an action, an index); what is dropped has none.
    """
    values = finder.tape.values
    found: set[int] = set()
    todo = list(finder.tape.params.get(uid, ()))
    seen = set(todo)
    while todo:
        for child, live in finder.down[todo.pop()]:
            made = values[child]
            if (live and child in finder.distance) or finder.distance.get(child) == 0:
                return set()
            if live:
                continue
            if child in seen or made.param == uid or (made.op >= 0 and finder.tape.ops[made.op].name in SELECTION):
                continue
            seen.add(child)
            if made.param < 0:
                todo.append(child)
            elif _follows(finder, run, made.param) or _blends(finder, child):
                found.add(made.param)
    return found


def _follows(finder: CutFinder, run: Run, uid: int) -> bool:
    """Whether a parameter is there to be copied to: it is not trained, or it is renewed now and then.

    One that is renewed in every turn is a worker's, whose gradients somebody forgot to carry back.
    """
    if not run.parameters[uid].trainable:
        return True
    begins = min((root.op for root in finder.tape.roots), default=0)
    writes = {finder.tape.values[version].op for version in finder.tape.params.get(uid, ())}
    renewed = sum(op > begins and finder.tape.ops[op].name != WRAPPED for op in writes)  # that made it
    passes = tally.backwards if (tally := run.tallies.get(uid)) is not None else 0
    return 0 < renewed <= SELDOM * passes


def _blends(finder: CutFinder, value: int) -> bool:
    """Whether what was written to a parameter was computed from what it was."""
    values = finder.tape.values
    made = values[value]
    name = finder.tape.ops[made.op].name if made.op >= 0 else ""
    if name == "_foreach_copy_":
        return False
    replaces = name in REPLACES
    todo = [parent for parent, _ in made.parents[replaces:]]
    for _ in range(64):
        if not todo:
            break
        source = values[todo.pop()]
        if source.param == made.param:
            return True
        if source.param < 0:
            todo.extend(parent for parent, _ in source.parents)
    return False


def _names(run: Run, uid: int, copy: int) -> tuple[str, int]:
    """(name of the instance that the copy is in, parts of the name both have inside); 0 if they are not of one kind."""
    mine, other = run.parameters[uid], run.parameters[copy]
    if mine.shape != other.shape or mine.module != other.module or not mine.owners or not other.owners:
        return "", 0
    left, right = mine.name.split("."), other.name.split(".")
    inside = 0
    while len(left) > 1 and len(right) > 1 and left[-1] == right[-1]:
        left.pop(), right.pop()
        inside += 1
    short = min(len(left), len(right))
    if left[:short] == right[:short]:
        return "", 0
    if len(right) > 1 and right[-1] == "module":
        right.pop()
    return ".".join(right), inside


def _call(finder: CutFinder, run: Run, pairs: dict[int, int]) -> Stack:
    """Where the instance is called: what the uses of its parameters have in common, less its own methods."""
    uses = [frames for copy in pairs.values() if (frames := _first_use(finder, copy))]
    stack = call_of(run, uses, [u for pair in pairs.items() for u in pair])
    while len(stack.frames) > 1 and _calls_an_argument(*stack.frames[0]):
        stack = Stack(stack.frames[1:])
    line = _chosen(*stack.frames[0]) if stack.frames else 0
    return Stack(((stack.frames[0][0], -line), *stack.frames[1:])) if line else stack


def call_of(run: Run, uses: list[list[Frame]], uids: Iterable[int]) -> Stack:
    """What these ways to the uses of parameters, outermost frame first, have in common, less methods of their model."""
    frames = _common(uses) if uses else []
    own = _classes(run, [run.parameters[u] for u in uids])
    for depth, (code, _) in enumerate(frames):
        if depth and code.co_qualname.rpartition(".")[0].rpartition(".")[2] in own:
            frames = frames[:depth]
            break
    return Stack(tuple(reversed(frames)))


def _calls_an_argument(code: CodeType, at: int) -> bool:
    """Whether a line calls what its function was given: the caller is who chose it."""
    statement = statement_at(code.co_filename, line_of(code, at))
    given = {
        name for name in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount] if name not in ("self", "cls")
    }
    calls = [node.func for node in ast.walk(statement) if isinstance(node, ast.Call)] if statement is not None else []
    return any(isinstance(called, ast.Name) and called.id in given for called in calls)


def _chosen(code: CodeType, at: int) -> int:
    """Of a line that calls a variable: the line of its function that chose what it is; 0 if there is none such."""
    line = line_of(code, at)
    statement, scope = statement_at(code.co_filename, line), scope_of(code.co_filename, code)
    if statement is None or scope is None or code.co_name == "<module>":
        return 0
    names = {n.func.id for n in ast.walk(statement) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
    lines = [
        node.lineno
        for node in ast.walk(scope)
        if isinstance(node, ast.Assign) and isinstance(node.value, (ast.IfExp, ast.Attribute, ast.Name))
        if any(isinstance(target, ast.Name) and target.id in names for target in node.targets) and node.lineno < line
    ]
    return lines[0] if len(lines) == 1 else 0


def _first_use(finder: CutFinder, uid: int) -> list[Frame]:
    """The frames, outermost first, of what was first computed from it on the way to a loss."""
    for version in finder.tape.params.get(uid, ()):
        for child, live in finder.down[version]:
            op = finder.tape.values[child].op
            if finder.tape.values[child].param >= 0:
                continue  # written to, and not used
            if op >= 0 and child in finder.distance and (live or _goes_on(finder, child)):
                return list(reversed(finder.tape.ops[op].stack.frames))
    return []


def _goes_on(finder: CutFinder, value: int) -> bool:
    """Whether a gradient would come back to a value if it asked for one: nothing on a way to a loss stops it."""
    todo, seen = [value], {value}
    while todo and len(seen) < _MOST:
        at = todo.pop()
        made = finder.tape.values[at]
        op = finder.tape.ops[made.op] if made.op >= 0 else None
        if made.param >= 0 or (op is not None and (op.cause in MEANT or op.name in SELECTION)):
            continue
        if made.requires:
            return True
        fresh = [child for child, _ in finder.down[at] if child in finder.distance and child not in seen]
        seen.update(fresh)
        todo.extend(fresh)
    return False


def _common(uses: list[list[Frame]]) -> list[Frame]:
    """The frames that all of these begin with."""
    same = [len(set(column)) == 1 for column in zip(*uses, strict=False)]
    return uses[0][: same.index(False) if False in same else len(same)]


def _classes(run: Run, parameters: list[Parameter]) -> set[str]:
    """Classes of the models that these are all of."""
    uids = {p.uid for p in parameters}
    return {m.class_name for m in run.models if uids.issuperset(m.parameters)}
