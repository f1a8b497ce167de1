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
    """What runs in a call that carries a gradient, and carries none itself: what prepares a detached input.

    It computes with no parameter. What does is another call of the module, or a part of it that is cut off, with all
    that hangs together with it. Of a module that has no parameters only what meets the gradient is in the same call.
    """
    acts = [node.model != "" and node.kind in ("op", "module") for node in stream.nodes]
    live = {key for key, flow, acting in zip(keys, flows, acts, strict=True) if acting and flow is Flow.LIVE}
    open_ = {
        position
        for position, key in enumerate(keys)
        if acts[position] and flows[position] is not Flow.LIVE and key in live and key not in inner
    }
    lent = {target for source, target, _ in stream.edges if stream.nodes[source].kind == "parameter"}
    meets = _meeting(stream, flows, keys, acts)
    pieces = [(keys[piece[0]], piece) for piece in _pieces(stream, keys, open_)]
    blind = {key for key, piece in pieces if not lent.isdisjoint(piece)}
    learning = {keys[position] for position in lent if acts[position] and flows[position] is Flow.LIVE}
    return [
        position
        for key, piece in pieces
        if lent.isdisjoint(piece) and (not meets.isdisjoint(piece) or (key in learning and key not in blind))
        for position in piece
    ]


def _meeting(stream: Stream, flows: Sequence[Flow], keys: Sequence[Hashable], acts: Sequence[bool]) -> set[int]:
    """What gives a value to something of its module that carries a gradient, or takes one from it."""
    found: set[int] = set()
    for source, target, _ in stream.edges:
        if acts[source] and acts[target] and keys[source] == keys[target]:
            if flows[source] is Flow.LIVE:
                found.add(target)
            if flows[target] is Flow.LIVE:
                found.add(source)
    return found


def _pieces(stream: Stream, keys: Sequence[Hashable], open_: Collection[int]) -> list[list[int]]:
    """Those that hang together within a module."""
    left = set(open_)
    pieces: list[list[int]] = []
    for start in sorted(open_):
        if start not in left:
            continue
        left.discard(start)
        piece = [start]
        for here in piece:
            for near in (*stream.before[here], *stream.after[here]):
                if near in left and keys[near] == keys[start]:
                    left.discard(near)
                    piece.append(near)
        pieces.append(piece)
    return pieces
