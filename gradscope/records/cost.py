"""What watching a run took. See the package."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cost:
    """Time and memory of gradscope itself."""

    seconds: float = 0.0
    """Of its hooks, as measured by itself; without what tracing adds to operations."""
    bytes: int = 0
    """Of its records, without the tape of traced steps; no more in a longer run, once the rings of events are full."""
