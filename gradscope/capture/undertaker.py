"""Lets a large autograd graph die safely after Python has seen its nodes.

* torch 2.13 keeps the Python object of a node as long as the node. When such a chain dies by itself, each object
  frees the next one from within its own end: 50,000 of them overflow the C stack and end the process.
* So the objects of a large graph are held here. One that nobody else holds is let go, roots first, one at a time:
  by then its successors are still held here, so that nothing recurses.
* The count of references tells whether torch still holds a node. Nodes are looked at again at the next backward, at
  the next garbage collection, and at exit. Those of a graph that the user keeps to the end are never freed.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import sys
from collections.abc import Sequence
from typing import Any

LARGE = 10_000
"""Nodes of a graph. Smaller ones may die by themselves."""


def _references(nodes: list[Any], index: int) -> int:
    return sys.getrefcount(nodes[index])


_ALONE = _references([object()], 0)


class Undertaker:
    """Graphs that wait for their end."""

    def __init__(self) -> None:
        self._waiting: list[tuple[list[Any], Sequence[Sequence[int]]]] = []

    def take(self, nodes: list[Any], following: Sequence[Sequence[int]]) -> None:
        """Hold the nodes of a walked graph, roots first; `following` has per node the indices of its successors.

        A node without successors may die by itself: a parameter keeps its own, and would be kept in turn. One that
        is held already is not held twice: it could never be alone.
        """
        held = {id(node) for waiting, _ in self._waiting for node in waiting}
        nodes = [n if after and id(n) not in held else None for n, after in zip(nodes, following, strict=True)]
        if not self._waiting:
            gc.callbacks.append(self._collected)
        self._waiting.append((nodes, following))

    def bury(self) -> int:
        """Let go what only we hold; how many nodes still wait."""
        for held in reversed(self._waiting):  # a later graph may stand on an earlier one
            _bury(*held)
        self._waiting = [held for held in self._waiting if any(node is not None for node in held[0])]
        if not self._waiting and self._collected in gc.callbacks:
            gc.callbacks.remove(self._collected)
        return sum(node is not None for nodes, _ in self._waiting for node in nodes)

    def leave(self) -> None:
        """At exit: what is left is never freed, in whatever order Python tears the rest down."""
        if self.bury():
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._waiting))

    def _collected(self, phase: str, info: dict[str, int]) -> None:
        if phase == "stop" and info["generation"] == 2:
            self.bury()


def _bury(nodes: list[Any], following: Sequence[Sequence[int]]) -> None:
    """Free nodes until each one left is held by somebody else."""
    todo = list(range(len(nodes) - 1, -1, -1))
    while todo:
        index = todo.pop()
        if nodes[index] is not None and _references(nodes, index) == _ALONE:
            nodes[index] = None
            todo.extend(following[index])


undertaker = Undertaker()
"""One for the process: graphs outlive the scopes that looked at them."""
atexit.register(undertaker.leave)
