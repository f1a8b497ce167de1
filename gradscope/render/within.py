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
) -> dict[int, Flow]:
    """Flows of what runs in a call that carries a gradient, and carries none itself: what prepares a detached input.

    It computes with no parameter. What does is another call of the module, or a part of it that is cut off, with all
    that hangs together with it: what another call behind a cut does itself is no piece of its own. Of a module that
    has no parameters only what meets the gradient is in the same call.
    """
    acts = [node.model != "" and node.kind in ("op", "module") for node in stream.nodes]
    live = {key for key, flow, acting in zip(keys, flows, acts, strict=True) if acting and flow is Flow.LIVE}
    open_ = {
        position
        for position, key in enumerate(keys)
        if acts[position] and flows[position] is not Flow.LIVE and key in live and key not in inner
    }
    loans = [(source, target) for source, target, _ in stream.edges if stream.nodes[source].kind == "parameter"]
    lent = {target for _, target in loans}
    learning = {source for source, target in loans if acts[target] and flows[target] is Flow.LIVE}
    again = {target for source, target in loans if source in learning}
    meets = _meeting(stream, flows, keys, acts)
    pieces = _pieces(stream, [*zip(keys, flows, strict=True)], open_)
    blind = {keys[piece[0]] for piece in pieces if not lent.isdisjoint(piece)}
    calls = {at for piece in pieces if not again.isdisjoint(piece) for at in piece}
    able = {keys[position] for position in lent if acts[position] and flows[position] is Flow.LIVE}
    answer: dict[int, Flow] = {}
    for piece in pieces:
        key = keys[piece[0]]
        if lent.isdisjoint(piece) and (not meets.isdisjoint(piece) or (key in able and key not in blind)):
            answer |= dict.fromkeys(piece, Flow.LIVE)
        elif flows[piece[0]] is Flow.GHOST and _touches(stream, piece, calls, keys):
            answer |= dict.fromkeys(piece, Flow.DEAD)
    return answer


def _touches(stream: Stream, piece: Sequence[int], others: Collection[int], keys: Sequence[Hashable]) -> bool:
    """Whether a piece gives to others of its module, or takes from them."""
    near = {at for here in piece for at in (*stream.before[here], *stream.after[here])} - set(piece)
    return any(at in others and keys[at] == keys[piece[0]] for at in near)


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
