"""Lines of text in the middle of their boxes, whatever font a viewer has.

Graphviz tells for each line of an HTML-like label where it starts, going by the widths that it believes letters to
have. Browsers draw them a little wider or narrower, so each line is told where its middle is instead.
"""

from __future__ import annotations

import re

_NODE = re.compile(r'<g id="[^"]*" class="node">.*?</g>', re.DOTALL)
_SHAPE = re.compile(r'<(?:path|polygon)\b[^>]*?\b(?:d|points)="([^"]+)"|<ellipse\b[^>]*?\bcx="([-\d.]+)"')
_X = re.compile(r"(-?[\d.]+),-?[\d.]+")
_LINE = re.compile(r'text-anchor="start" x="[-\d.]+"')


def centred(svg: str) -> str:
    """The picture with every line of a box in its middle; boxes have no text that is meant to stand at a side."""
    return _NODE.sub(_one, svg)


def _one(node: re.Match[str]) -> str:
    shape = _SHAPE.search(node[0])
    if shape is None:
        return node[0]
    xs = [float(shape[2])] if shape[2] else [float(x) for x in _X.findall(shape[1])]
    middle = (min(xs) + max(xs)) / 2
    return _LINE.sub(f'text-anchor="middle" x="{middle:g}"', node[0])
