"""What belongs to one call of a module, although the trace says otherwise of a part of it."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Sequence

from gradscope.render.stream import Flow, Stream


def users_of_parts(stream: Stream) -> dict[tuple[str, str], str]:
    """Per module that is never called, and only lends its parameters to the one around it: that one.

    Attention computes with the weights of its `out_proj` and does not call it.
    """
    found: dict[tuple[str, str], set[str]] = {}
    for position, node in enumerate(stream.nodes):
        if node.module and node.model:
            following = [stream.nodes[p] for p in stream.after[position]]
            used = {f.module if f.model == node.model else "" for f in following}
            found.setdefault((node.model, node.module), set()).update(used if node.kind != "op" else {node.module})
    return {
        (model, module): user
        for (model, module), users in found.items()
        if len(users) == 1 and (user := next(iter(users))) and module.startswith(f"{user}.")
    }


def whole_calls(
    stream: Stream, flows: Sequence[Flow], keys: Sequence[Hashable], inner: Collection[Hashable]
) -> list[int]:
    """Operations in a call that carries a gradient, which carry none themselves: what prepares a detached input.

    They compute with nothing of the module. What does is another call of it, or a part that is cut off.
    """
    live = {key for key, flow in zip(keys, flows, strict=True) if flow is Flow.LIVE}
    todo = [
        position
        for position, node in enumerate(stream.nodes)
        if node.model and node.kind == "op" and flows[position] is not Flow.LIVE
        and keys[position] in live and keys[position] not in inner
    ]  # fmt: skip
    open_ = set(todo)
    lent = {target for source, target, _ in stream.edges if stream.nodes[source].kind == "parameter"}
    answer: list[int] = []
    while todo:
        start = todo.pop()
        if start not in open_:
            continue
        open_.discard(start)
        together, at = [start], 0
        while at < len(together):
            here = together[at]
            at += 1
            for near in (*stream.before[here], *stream.after[here]):
                if near in open_ and keys[near] == keys[start]:
                    open_.discard(near)
                    together.append(near)
        if lent.isdisjoint(together):
            answer += together
    return answer
